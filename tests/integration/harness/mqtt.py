"""An MQTT client for tests: Eclipse Paho's, with what it hears written down."""

import collections

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from harness.waiting import SECONDS, Board

Arrival = collections.namedtuple("Arrival", "topic payload qos retain")
V3, V5 = paho.MQTTv311, paho.MQTTv5


class Refused(Exception):
    """CONNECT was not accepted. `code`: the reason, in MQTT 5's numbers."""

    def __init__(self, code):
        super().__init__(f"refused with {code}")
        self.code = code


class Client:
    """One connection. `arrivals` are the publications it got, in order."""

    made = []   # all of the running test; conftest closes them after it

    def __init__(self, stack, client_id, user, password, *, version=V3, transport="tcp", clean=True,
                 will=None, keepalive=60, expiry=None):
        self.stack, self.version, self.transport = stack, version, transport
        self.clean, self.keepalive, self.expiry = clean, keepalive, expiry
        self.made.append(self)
        self.board = Board()
        self.arrivals = []
        self.connack = None
        self.gone = None       # the reason code, once the connection has ended
        self.answers = {}      # mid -> reason codes of SUBACK, UNSUBACK, PUBACK
        kwargs = {} if version == V5 else {"clean_session": clean}
        self.paho = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id, protocol=version,
                                transport=transport, reconnect_on_failure=False, **kwargs)
        if user is not None:
            self.paho.username_pw_set(user, password)
        if will is not None:
            self.paho.will_set(*will)
        self.paho.max_inflight_messages_set(1000)
        self.paho.on_connect = self._on_connect
        self.paho.on_disconnect = self._on_disconnect
        self.paho.on_message = self._on_message
        self.paho.on_subscribe = self._on_answer
        self.paho.on_unsubscribe = self._on_answer
        self.paho.on_publish = self._on_published

    # ---- what a test does

    def connect(self):
        kwargs = {}
        if self.version == V5:
            kwargs["clean_start"] = self.clean
            if self.expiry is not None:
                kwargs["properties"] = Properties(PacketTypes.CONNECT)
                kwargs["properties"].SessionExpiryInterval = self.expiry
        port = self.stack.broker["ws" if self.transport == "websockets" else "mqtt"]
        self.connack = self.gone = None
        self.paho.connect("127.0.0.1", port, self.keepalive, **kwargs)
        self.paho.loop_start()
        self.board.wait(lambda: self.connack is not None or self.gone is not None, "CONNACK")
        if self.connack is None or self.connack.is_failure:
            self.close()
            raise Refused(self.connack.value if self.connack is not None else None)
        return self

    def subscribe(self, topic, qos=0):
        """The reason code of SUBACK: the granted QoS, or 0x80 and above."""
        return self._answered(self.paho.subscribe(topic, qos), f"SUBACK of {topic}")[0]

    def unsubscribe(self, topic):
        return self._answered(self.paho.unsubscribe(topic), f"UNSUBACK of {topic}")

    def publish(self, topic, payload=b"", qos=0, retain=False):
        """Returns at once for QoS 0; else PUBACK's or PUBCOMP's reason code."""
        info = self.paho.publish(topic, payload, qos, retain)
        return self._answered((info.rc, info.mid), f"PUBACK on {topic}")[0] if qos else None

    def close(self):
        """DISCONNECT, and back when the connection is gone."""
        self.paho.disconnect()
        self.paho.loop_stop()

    def cut(self):
        """The line goes dead: the socket is closed without DISCONNECT."""
        sock = self.paho.socket()
        if sock is not None:
            raw = getattr(sock, "_socket", sock)   # paho wraps WebSockets
            raw.shutdown(2)
        self.wait_gone()
        self.paho.loop_stop()

    def wait_gone(self, seconds=SECONDS):
        """Until the broker (or the network) has ended the connection; its reason code."""
        return self.board.wait(lambda: self.gone, "the connection to end", seconds)

    def wait_for(self, condition, what, seconds=SECONDS):
        return self.board.wait(condition, what, seconds)

    def wait_arrival(self, topic, seconds=SECONDS, after=0):
        """The first arrival on `topic` from index `after` on."""
        return self.board.wait(
            lambda: next((a for a in self.arrivals[after:] if a.topic == topic), None),
            f"something on {topic}", seconds)

    @property
    def connected(self):
        return self.connack is not None and not self.connack.is_failure and self.gone is None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    # ---- what paho tells, on its own thread

    def _answered(self, result, what):
        code, mid = result
        assert code == paho.MQTT_ERR_SUCCESS, f"{what}: {paho.error_string(code)}"
        self.board.wait(lambda: mid in self.answers or self.gone, what)
        assert mid in self.answers, f"the connection ended ({self.gone}) instead of {what}"
        return self.answers.pop(mid)

    def _on_connect(self, _client, _data, _flags, code, _properties):
        with self.board:
            self.connack = code

    def _on_disconnect(self, _client, _data, _flags, code, _properties):
        with self.board:
            self.gone = code if code is not None else True

    def _on_message(self, _client, _data, message):
        arrival = Arrival(message.topic, message.payload, message.qos, message.retain)
        with self.board:
            self.arrivals.append(arrival)
            self.heard(arrival)

    def heard(self, arrival):
        """For subclasses; under the board's lock."""

    def _on_answer(self, _client, _data, mid, codes, _properties):
        with self.board:
            self.answers[mid] = [code.value for code in codes] or [0]

    def _on_published(self, _client, _data, mid, code, _properties):
        with self.board:
            self.answers[mid] = [code.value]
