// A push gateway over HTTP/2 that does what the path says. Prints its port, then nothing; on standard
// input "count" is answered with what it has seen.
//   node push_server.cjs KEY CERT
const http2 = require('node:http2');
const fs = require('node:fs');
const seen = {streams: 0, sessions: 0, most: 0, now: 0};
const server = http2.createSecureServer({key: fs.readFileSync(process.argv[2]), cert: fs.readFileSync(process.argv[3])});
server.on('sessionError', () => {});
server.on('session', (session) => {
  seen.sessions++;
  session.on('error', () => {});
});
server.on('stream', (stream, headers) => {
  const session = stream.session;
  seen.streams++;
  seen.most = Math.max(seen.most, ++seen.now);
  stream.on('close', () => seen.now--);
  stream.on('error', () => {});
  const path = headers[':path'];
  const answer = (status, more = {}, body = '') => {
    if (!stream.destroyed) { stream.respond({':status': status, ...more}); stream.end(body); }
  };
  stream.resume();
  stream.on('end', () => {
    if (path === '/ok') return answer(201);
    if (path === '/later') return setTimeout(() => answer(200), 200);
    if (path === '/never') return undefined;
    if (path === '/redirect') return answer(302, {location: '/ok'});
    if (path === '/busy') return answer(429, {'retry-after': '17'}, 'busy');
    if (path === '/down') return answer(503, {'retry-after': '60'});
    if (path === '/broken') return answer(500);
    if (path === '/big') return answer(200, {}, 'x'.repeat(10 * 1024 * 1024));
    if (path === '/headers') return answer(200, {'x-long': 'y'.repeat(40 * 1024)});
    if (path === '/reset') return stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
    if (path === '/drop') return session.socket ? session.destroy() : undefined;
    if (path === '/goaway') {   // this one is answered, what comes later has to go elsewhere
      answer(200);
      return session.close();
    }
    return answer(404);
  });
});
server.listen(0, '127.0.0.1', () => console.log('port ' + server.address().port));
require('node:readline').createInterface({input: process.stdin})
  .on('line', () => console.log('count ' + JSON.stringify(seen)))
  .on('close', () => process.exit());
