"""nightjar-persister's commands on the store, beside a running persister: export, backup, restore (docs/storage.md)."""

import glob
import json
import os
import subprocess

import pytest

from harness.device import Device
from harness.talker import Talker, messages, whole_history
from harness.waiting import SLOWNESS, poll

FAST = {"sends_per_s": 100_000, "sends_burst": 100_000, "hub_start_wait_ms": 10_000}


def run(stack, command, *args, code=0, store=True):
    """A command with the store that the stack's persister has. Its standard output."""
    program, *rest = stack.entry("persister")["argv"]
    if store:
        args = [*store_options(rest), *args]
    done = subprocess.run([program, command, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=60 * SLOWNESS, check=False)
    assert done.returncode == code, (done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout if code == 0 else done.stderr


def store_options(argv):
    return [word for name in ("--data", "--store") if name in argv for word in (name, argv[argv.index(name) + 1])]


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("store", ["rocksdb", "hbase"])
def test_a_chat_is_exported_while_the_persister_runs(own_stack, user, tmp_path, store):
    stack = own_stack(options=FAST, store=store)
    a, b = Device(stack, user("a")).online(), Device(stack, user("b")).online()
    said = {}
    for i in range(450):    # some pages, and line breaks within texts
        author = (a, b)[i % 2]
        text = f"Grüße\n\"{i}\""
        said[author.say(b.uid if author is a else a.uid, text).msg_id] = author.uid, text
    stack.wait_for_empty_journal()
    chat = min(a.uid, b.uid), max(a.uid, b.uid)
    chat = f"d:{chat[0]}:{chat[1]}"
    everything = lines(run(stack, "export", "--chat", chat))
    assert [int(m["msgId"]) for m in everything] == sorted(said)
    assert {int(m["msgId"]): (m["author"], m["text"]) for m in everything} == said
    assert all(m["chatId"] == chat for m in everything)

    # A part, into a file; what was said meanwhile is in the next one.
    ids = sorted(said)
    out = tmp_path / "chat.json"
    assert run(stack, "export", "--chat", chat, "--after", str(ids[9]), "--before", str(ids[430]), "--format", "json",
               "--out", str(out)) == ""
    assert lines(out.read_text(encoding="utf-8")) == everything[10:430]
    newest = a.say(b.uid, "one more").msg_id
    stack.wait_for_empty_journal()
    assert [int(m["msgId"]) for m in lines(run(stack, "export", "--chat", chat, "--after", str(ids[-1])))] == [newest]

    assert "does not know the chat d:body:no" in run(stack, "export", "--chat", "d:body:no", code=3)
    assert "not a chat's id" in run(stack, "export", "--chat", "nonsense", code=2)
    assert "--chat" in run(stack, "export", code=106)
    if store == "rocksdb":
        assert "there is none" in run(stack, "export", "--chat", chat, "--data", str(tmp_path / "no"), code=1, store=False)
        assert not (tmp_path / "no").exists()
    b.message("one more")    # it has disturbed nobody


def test_a_backup_made_while_messages_flow_is_restored_after_a_crash(own_stack, user, tmp_path):
    stack = own_stack(options=FAST)
    store, backups = os.path.join(stack.folder, "store"), str(tmp_path / "backups")
    uids = sorted(user(name) for name in ("a", "b"))
    talkers = [Talker(stack, uids[i], 600, to=uids[1 - i]) for i in range(2)]
    chat = f"d:{uids[0]}:{uids[1]}"
    before = [talkers[0].device.say(uids[1], f"before {i}").msg_id for i in range(50)]
    stack.wait_for_empty_journal()
    for talker in talkers:
        talker.start()

    def accepted():
        return sum(len(talker.accepted) for talker in talkers)

    made = []
    for at in (100, 300, 500):
        poll(lambda at=at: accepted() >= at, "messages to flow", 60)
        made.append(run(stack, "backup", "--to", backups, "--keep", "2"))
    assert accepted() < 1200, "they were to flow meanwhile"
    poll(lambda: accepted() >= 700, "some after the last backup", 60)
    stack.kill("persister")
    for talker in talkers:
        talker.join()
    everything = sorted([*before, *(i for talker in talkers for i in talker.accepted.values())])
    listed = run(stack, "restore", "--from", backups, "--list", store=False).splitlines()
    assert [f"backup {line}\n" for line in listed] == made[1:]

    # Not over what is there; not from what is not; then beside it, and a chat is a whole beginning of what it was.
    assert "is not empty" in run(stack, "restore", "--from", backups, code=2)
    assert "no backup 1" in run(stack, "restore", "--from", backups, "--backup", "1", "--data", str(tmp_path / "x"), code=2, store=False)
    assert "no backups" in run(stack, "restore", "--from", str(tmp_path), "--data", str(tmp_path / "x"), code=2, store=False)
    os.rename(store, store + ".lost")
    assert "restored" in run(stack, "restore", "--from", backups)
    was = lines(run(stack, "export", "--chat", chat, "--data", store + ".lost", store=False))
    restored = lines(run(stack, "export", "--chat", chat))
    assert [int(m["msgId"]) for m in was] == everything[:len(was)]
    assert len(before) + 500 - 50 <= len(restored) <= len(was)    # what is under way is in the journal
    assert restored == was[:len(restored)]
    earlier = str(tmp_path / "earlier")
    run(stack, "restore", "--from", backups, "--backup", "2", "--data", earlier, store=False)
    assert 0 < len(lines(run(stack, "export", "--chat", chat, "--data", earlier, store=False))) < len(restored)

    # The persister goes on from the journal. Lost is what had left it between backup and crash, and nothing else.
    stack.start("persister")
    stack.wait_healthy("persister")
    stack.wait_for_empty_journal()
    device = talkers[0].stay_connected()
    newest = device.say(uids[1], "on we go").msg_id
    assert newest > everything[-1]
    poll(lambda: messages(talkers[1].stay_connected(), chat)[-1].text == "on we go", "it to arrive", 30)
    lost = {int(m["msgId"]) for m in was[len(restored):]}
    ids = [m.msg_id for m in whole_history(device, chat)]
    assert ids == sorted(ids) and set(everything) - lost <= set(ids) and ids[-1] == newest
    assert run(stack, "backup", "--to", backups)    # after a restore, too


def test_only_what_is_whole_is_restored(own_stack, user, tmp_path):
    stack = own_stack(options=FAST)
    store, backups, new = os.path.join(stack.folder, "store"), str(tmp_path / "backups"), str(tmp_path / "new")
    a, b = Device(stack, user("a")).online(), user("b")
    chat = a.say(b, "one").chat_id
    stack.wait_for_empty_journal()
    stack.stop("persister")
    assert "backup 1 " in run(stack, "backup", "--to", backups)    # nobody has it open

    # Broken off half-way: no store to anybody, until it is restored.
    os.makedirs(os.path.join(new, "restoring"))
    with open(os.path.join(new, "000010.sst"), "w", encoding="utf-8") as file:
        file.write("half of it")
    there = {"store": False, "code": 1}
    assert "being restored" in run(stack, "deadletters", "replay", "--all", "--data", new, **there)
    run(stack, "restore", "--from", backups, "--data", new, store=False)
    assert sorted(os.listdir(new)) and not os.path.exists(os.path.join(new, "restoring"))
    assert [m["text"] for m in lines(run(stack, "export", "--chat", chat, "--data", new, store=False))] == ["one"]

    victim = max(glob.glob(os.path.join(backups, "shared_checksum", "*.sst")), key=os.path.getsize)
    with open(victim, "r+b") as file:
        file.seek(os.path.getsize(victim) // 2)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 1]))
    other = str(tmp_path / "other")
    assert "damaged" in run(stack, "restore", "--from", backups, "--data", other, **there)
    assert not os.path.exists(other)
    assert "none" in run(stack, "backup", "--to", backups, "--data", other, store=False, code=2)
    for command in (["backup", "--to", backups], ["restore", "--from", backups]):
        assert "HBase has its own" in run(stack, *command, "--store", "hbase:127.0.0.1:1", store=False, code=2)
    assert os.path.exists(store)
