"""What the kernel keeps of many stopped readers. Apart from the other tests of back-pressure because
it takes long, and may run beside others.
"""

import pytest

from harness import linux
from harness.lab import Lab

MIB = 1024 * 1024
#: The readers' kernel buffers, so that nearly all that was sent is held by the daemon.
SMALL = 65536


@pytest.mark.heavy
@pytest.mark.parametrize("sender_name", ["client", "upstream"])
def test_no_one_of_many_stopped_readers_costs_16_mib(lab: Lab, sender_name: str) -> None:
    """How far the kernel lets its buffers grow is a matter of luck: one connection tells little."""
    link = lab.link(server={"receive_buffer": SMALL})
    pairs = [link.open(receive_buffer=SMALL) for _ in range(24)]
    if sender_name == "upstream":
        pairs = [(upstream, client) for client, upstream in pairs]
    inside = []
    for sender, reader in pairs:  # In turn: together they would slow each other down.
        sent = sender.send_until_blocked(64 * MIB, quiet=0.2)
        inside.append(sent - linux.unacknowledged(sender.sock) - linux.unread(reader.sock))
        sender.reset()
    assert max(inside) < 16 * MIB, [f"{count / MIB:.1f} MiB" for count in inside]
