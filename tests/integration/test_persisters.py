"""Several persisters on one HBase share partitions by lease and requests by shared subscription. One is stopped and
wakes, one is killed: every read is answered, with everything accepted before it was asked for (G9)."""

import random
import re
import threading
import time

from harness.device import Device
from harness.proto import code
from harness.stack import PARTITIONS
from harness.talker import Talker, whole_history
from harness.waiting import SLOWNESS, poll
from nj import probe

FAST = {"sends_per_s": 100_000, "sends_burst": 100_000}
NAMES = ["persister", "persister2", "persister3"]
WRITERS = 6


class Writer(Talker):
    """Writes until told to stop."""

    def __init__(self, stack, uid, to):
        super().__init__(stack, uid, 0, to=to, seconds=300)
        self.enough = threading.Event()
        self.chat = "d:" + ":".join(sorted([uid, to]))

    def _run(self):
        try:
            while not self.enough.wait(0.02):
                self._one(f"{self.uid} {self.count}", Device.next_id())
                self.count += 1
        except BaseException as failure:  # pylint: disable=broad-except
            self.failure = failure

    def ids(self):
        return sorted(list(self.accepted.values()))


class Asker:
    """Reads what writers write to one, again and again; keeps what it was told beside what was accepted before."""

    def __init__(self, stack, uid, name, writers):
        self.device = Device(stack, uid, name).online()
        self.writers = writers
        self.told = []          # (writer, ids accepted before, what was asked, the answer)
        self.lists = []         # ({chat: newest id before}, the answer)
        self.put_off = []       # errors that say: try again; to look at when this fails
        self.failure = None
        self.enough = threading.Event()
        self.random = random.Random(name)
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)

    def _run(self):
        try:
            while not self.enough.is_set():
                self._one()
        except BaseException as failure:  # pylint: disable=broad-except
            self.failure = failure

    def _one(self):
        writer = self.random.choice(self.writers)
        before = writer.ids()
        kind = self.random.choice(["newest", "newest", "before", "after", "list"])
        if kind == "list":
            newest = {each.chat: max(each.ids()) for each in self.writers}
            return self.lists.append((newest, self._ask(list_chats={"limit": 50}).chats))
        query = {"chat_id": writer.chat, "limit": self.random.choice([1, 10, 50])}
        if kind != "newest":
            query[f"{kind}_msg_id"] = self.random.choice(before[-60:])
        return self.told.append((writer, before, query, self._ask(history=query).history))

    def _ask(self, **body):
        """As the protocol says: UNAVAILABLE is not final."""
        while True:
            response = self.device.ask(seconds=15, **body)
            if response.WhichOneof("result") != "error":
                return response
            error = response.error
            assert error.code in (code("UNAVAILABLE"), code("RESOURCE_EXHAUSTED")) and error.retry_after_ms > 0, error
            self.put_off.append(error.message)
            threading.Event().wait(error.retry_after_ms / 1000)

    def judge(self):
        whole = {writer.chat: writer.ids() for writer in self.writers}
        for writer, before, query, page in self.told:
            ids, every, limit = [m.msg_id for m in page.messages], whole[writer.chat], query["limit"]
            if "before_msg_id" in query:
                below = [i for i in every if i < query["before_msg_id"]]
                assert (ids, page.more) == (below[-limit:], len(below) > limit), query
            elif "after_msg_id" in query:
                above = [i for i in every if i > query["after_msg_id"]]
                known = [i for i in before if i > query["after_msg_id"]]
                assert ids == above[:len(ids)] and len(ids) >= min(limit, len(known)), query
                assert len(ids) == limit or not page.more, query
            else:
                by_then = [i for i in every if i <= ids[-1]]
                assert ids == by_then[-limit:] and page.more == (len(by_then) > limit), query
                assert ids[-1] >= before[-1], query
        for newest, page in self.lists:
            shown = {each.chat.chat_id: each.last_message.msg_id for each in page.chats}
            assert len(page.chats) == len(shown)
            assert all(shown[chat] >= msg_id and shown[chat] in whole[chat] for chat, msg_id in newest.items())


def holders(stack):
    """Who has partitions now."""
    found = set()
    for p in range(PARTITIONS):
        lease = probe.redis_text(stack.inner.master_port(p), "GET", f"lease:{{{p}}}:persist")
        _, expires_ms, _, owner = lease.split()
        if int(expires_ms) > time.time() * 1000:
            found.add(NAMES[int(owner.partition("#")[0].removeprefix("p")) - 1])
    return found


def test_reads_go_on_while_one_is_stopped_and_one_is_killed(own_stack, user):
    stack = own_stack(store="hbase", persisters=3, options=FAST)
    reader = user("r")
    writers = [Writer(stack, user("w"), reader).start() for _ in range(WRITERS)]
    for writer in writers:
        poll(lambda writer=writer: len(writer.accepted) >= 3 or writer.failure, "something to read")
    askers = [Asker(stack, reader, name, writers) for name in ("phone", "tablet", "desk")]
    for asker in askers:
        asker.thread.start()

    def answered(count):
        """Until each has got so many more answers."""
        for asker in askers:
            upto = len(asker.told) + count
            poll(lambda asker=asker, upto=upto: len(asker.told) >= upto or asker.failure, "answers", 60)
            assert asker.failure is None, asker.failure

    answered(30)
    poll(lambda: holders(stack) == set(NAMES), "all to have partitions", 30)
    stopped = sorted(holders(stack))[0]
    stack.pause(stopped)
    answered(5)      # with nobody having its partitions
    poll(lambda: holders(stack) and stopped not in holders(stack), "others to take over", 30)
    answered(10)
    stack.resume(stopped)
    answered(20)
    poll(lambda: holders(stack) == set(NAMES), "all to have partitions", 30)
    answered(20)
    killed = sorted(holders(stack))[0]
    stack.kill(killed)
    answered(5)
    poll(lambda: holders(stack) and killed not in holders(stack), "others to take over", 30)
    answered(20)
    stack.start(killed)
    poll(lambda: holders(stack) == set(NAMES), "all to have partitions", 30)
    answered(30)

    for each in (*askers, *writers):
        each.enough.set()
    for asker in askers:
        asker.thread.join(30 * SLOWNESS)
        assert not asker.thread.is_alive() and asker.failure is None, asker.failure
    for writer in writers:
        writer.join()
    for asker in askers:
        asker.judge()
    stack.wait_for_empty_journal(60)
    for writer in writers:
        assert [m.msg_id for m in whole_history(askers[0].device, writer.chat)] == writer.ids()
    hits = 0
    for name in NAMES:
        stack.stop(name, 30)
        hits += int(re.findall(r"memory_hits=(\d+)", stack.log(name))[-1])
    assert hits > 0, "memory has not been tried"
