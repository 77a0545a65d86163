// mqtt.js as a command line client: commands on standard input, one JSON line per event on standard
// output. Written for harness/tools.py.
'use strict';
const mqtt = require('mqtt');
const readline = require('readline');

const [url, clientId, username, password, version] = process.argv.slice(2);
const say = (event) => console.log(JSON.stringify(event));

const client = mqtt.connect(url, {
  clientId, username, password, clean: true, protocolVersion: Number(version), reconnectPeriod: 0,
});
client.on('connect', () => say({event: 'connect'}));
client.on('error', (error) => say({event: 'error', message: error.message, code: error.code}));
client.on('close', () => { say({event: 'close'}); process.exit(0); });
client.on('message', (topic, payload) => {
  say({event: 'message', topic, hex: payload.toString('hex'), text: payload.toString('utf8')});
});

const commands = {
  sub: (topic, qos) => client.subscribe(topic, {qos: Number(qos || 0)}, (error, granted) =>
    say({event: 'sub', topic, error: error && error.message, granted: granted && granted.map((g) => g.qos)})),
  pub: (topic, ...words) => client.publish(topic, words.join(' ')),
  hex: (topic, bytes) => client.publish(topic, Buffer.from(bytes || '', 'hex')),
  end: () => client.end(),
};
readline.createInterface({input: process.stdin}).on('line', (line) => {
  const [name, ...words] = line.split(' ');
  if (commands[name]) commands[name](...words);
});
