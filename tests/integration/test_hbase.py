"""Chat goes on while HBase is away, and everything is there when it is back (G9)."""

import re

from harness.device import Device
from harness.waiting import poll


def left_in_journal(stack):
    """Records that the persister has yet to store."""
    return sum(int(stack.redis("LLEN", f"journal:{{{p}}}", partition=p).lstrip(b":")) for p in range(64))


def failures(stack):
    return len(re.findall("not stored, the journal keeps it", stack.log("persister")))


def test_chat_goes_on_without_hbase_and_drains_when_it_is_back(own_stack, user):
    stack = own_stack(store="hbase")
    a, b = Device(stack, user("a")).online(), Device(stack, user("b")).online()
    said = []

    def say_some(what):
        sent = [a.say(b.uid, f"{what}{i}") for i in range(20)]
        said.extend(f"{what}{i}" for i in range(20))
        b.message(said[-1])
        return sent[0]

    first = say_some("before")
    poll(lambda: left_in_journal(stack) == 0, "the journal to be stored", 60)
    for round_, victims in enumerate((["thrift"], ["thrift", "hbase"])):
        tried = failures(stack)
        stack.kill("thrift")
        if "hbase" in victims:
            stack.stop("hbase", 90)   # its local files are not synced at every write, as HDFS's would be
        say_some(f"without{round_}.")
        poll(lambda tried=tried: failures(stack) > tried, "the persister to notice", 60)
        assert left_in_journal(stack) >= 20
        for victim in reversed(victims):
            stack.start(victim)
        poll(lambda: left_in_journal(stack) == 0, "the journal to be stored", 120)
    page = poll(lambda: a.ask_ok(history={"chat_id": first.chat_id, "limit": 200}), "history", 60)
    assert [message.text for message in page.messages] == said
