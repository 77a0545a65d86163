"""The store fails in every way a store can; chat goes on, and everything is there afterwards (G9)."""

import itertools
import json
import re
import subprocess

import pytest

from harness import thrift2
from harness.device import Device
from harness.proto import code, kind_of
from harness.shims import Disk
from harness.stack import PARTITIONS
from harness.waiting import SLOWNESS, poll

FAST = {"sends_per_s": 100_000, "sends_burst": 100_000}


def left_in_journal(stack):
    """Records that the persister has yet to store."""
    return sum(int(stack.redis("LLEN", f"journal:{{{p}}}", partition=p).lstrip(b":")) for p in range(PARTITIONS))


def failures(stack):
    return re.findall(".*not stored, the journal keeps it.*", stack.log("persister"))


class Chat:
    """Two people; what they said, and whether all of it is there."""

    def __init__(self, stack, user):
        self.stack = stack
        self.a, self.b = (Device(stack, user(name)).online() for name in "ab")
        self.said = []
        self.number = itertools.count()

    def say(self, count=20):
        for _ in range(count):
            accepted = self.a.say(self.b.uid, f"m{next(self.number)}")
            self.said.append(accepted.msg_id)
            self.chat = accepted.chat_id
        self.b.wait_for(lambda: len(self.b.texts()) == len(self.said), "all of them", 20)

    def say_without_store(self):
        """The persister has tried and failed; chat has gone on. What it said of the failure."""
        tried = len(failures(self.stack))
        self.say()
        poll(lambda: len(failures(self.stack)) > tried, "the persister to notice", 60)
        self.say()
        assert left_in_journal(self.stack) >= 20
        return failures(self.stack)[-1]

    def check(self, seconds=60):
        """All is stored, once and in order."""
        poll(lambda: left_in_journal(self.stack) == 0, "the journal to be stored", seconds)
        ids, before = [], 0
        while True:
            page = poll(lambda before=before: self.a.ask(history={"chat_id": self.chat, "limit": 200,
                                                                  "before_msg_id": before}).history, "history", 60)
            ids = [message.msg_id for message in page.messages] + ids
            if not page.more:
                break
            before = ids[0]
        assert ids == self.said and not self.b.doubled


def test_the_disk_is_full(own_stack, user, tmp_path):
    disk = Disk(tmp_path / "full")
    stack = own_stack(options=FAST, env=disk.env("persister"))
    chat = Chat(stack, user)
    chat.say()
    disk.fill()
    assert "make room on the disk" in chat.say_without_store()
    disk.make_room()
    chat.check()
    stack.restart("persister")
    chat.say()
    chat.check()


def test_the_persister_is_killed_again_and_again(own_stack, user):
    stack = own_stack(options=FAST)
    chat = Chat(stack, user)
    for _ in range(8):
        chat.say(100)
        stack.kill("persister")
        chat.say(5)
        stack.start("persister")
    stack.wait_healthy("persister")
    chat.check()


def test_at_the_journals_bound_sends_are_refused_and_none_is_lost(own_stack, user):
    stack = own_stack(options={**FAST, "journal_max": 1000})
    chat = Chat(stack, user)
    chat.say(1)
    stack.kill("persister")
    refused = None
    while refused is None:   # what was delivered stands in the journal, too
        frame = chat.a.answer(chat.a.send(chat.b.uid, f"m{next(chat.number)}"))
        if kind_of(frame) == "accepted":
            chat.said.append(frame.accepted.msg_id)
            assert len(chat.said) <= 1001
        else:
            refused = frame.rejected
    assert refused.error.code == code("RESOURCE_EXHAUSTED") and refused.error.retry_after_ms > 0
    chat.b.wait_acked()   # what needs no journal goes on
    stack.start("persister")
    again = chat.a.say_patiently(chat.b.uid, "refused before", cmid=refused.client_msg_id)
    chat.said.append(again.msg_id)
    chat.say()
    chat.check()


def dead_letters(stack, *args):
    program, *rest = stack.entry("persister")["argv"]
    done = subprocess.run([program, "deadletters", *args, *rest], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=60 * SLOWNESS)
    return done.returncode, done.stdout, done.stderr


def listed_letters(stack):
    status, listed, said = dead_letters(stack, "list", "--format", "json")
    assert status == 0, said
    return [json.loads(line) for line in listed.splitlines()]


def test_what_can_never_be_stored_is_laid_aside(own_stack, user):
    stack = own_stack(options=FAST)
    chat = Chat(stack, user)
    chat.say()
    stack.kill("persister")
    for partition in (0, 5):
        stack.redis("RPUSH", f"journal:{{{partition}}}", "no record", partition=partition)
    chat.say()
    stack.start("persister")
    stack.wait_healthy("persister")
    chat.check()

    letters = listed_letters(stack)
    assert [letter["partition"] for letter in letters] == [0, 5]
    first, second = (letter["id"] for letter in letters)
    stack.stop("persister")
    status, said, _ = dead_letters(stack, "replay", first)
    assert status == 3 and f"{first}  refused" in said
    assert listed_letters(stack) == letters
    assert dead_letters(stack, "drop", first)[0] == 0
    assert [letter["id"] for letter in listed_letters(stack)] == [second]
    assert dead_letters(stack, "drop", first)[0] == 3
    status, _, said = dead_letters(stack, "drop", "nonsense")
    assert status == 2 and "not a dead letter's id" in said
    assert dead_letters(stack, "drop", "--all")[0] == 0
    assert not listed_letters(stack)


def test_hbase_is_killed_stalls_and_loses_tables(own_stack, user):
    stack = own_stack(store="hbase", options=FAST)
    chat = Chat(stack, user)
    port = stack.inner.data["hbase"]["thrift"]
    chat.say()
    chat.check()

    stack.pause("thrift")
    chat.say_without_store()
    stack.resume("thrift")
    chat.check()

    thrift2.order(port, "disableTable", "messages")
    chat.say_without_store()
    thrift2.order(port, "enableTable", "messages")
    chat.check()

    chat.say(100)
    stack.kill("thrift")
    stack.kill("hbase")
    chat.say_without_store()
    stack.start("hbase")
    stack.start("thrift")
    chat.check(120)


def test_a_table_is_dropped_under_the_persister(own_stack, user):
    stack = own_stack(store="hbase", options=FAST)
    chat = Chat(stack, user)
    port = stack.inner.data["hbase"]["thrift"]
    chat.say()
    chat.check()
    for what in ("disableTable", "deleteTable"):
        thrift2.order(port, what, "chats")
    assert "chats" in chat.say_without_store()
    stack.restart("persister")   # which makes it anew
    chat.check()
