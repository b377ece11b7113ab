"""A namespace that a test deletes, and how to tell that nobody holds it any more."""

from .lab import Lab
from .waiting import SLOWNESS, wait_until

#: From the return of `ip netns del` until the devices of the namespace are gone.
PROMISE = 2.0 * SLOWNESS

#: The two ends of the wire between the test's own namespace `host` and the one that is deleted.
#: A peer must sit at the host's end: a socket inside would hold the namespace itself.
HOST_ADDRESS, INNER_ADDRESS = "10.50.1.1", "10.50.1.2"


class Inner:
    """A namespace `a` that is to be deleted, wired to the host's."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.netns = lab.netns("a")
        lab.host.connect_to(self.netns, f"{HOST_ADDRESS}/24", f"{INNER_ADDRESS}/24")

    def exists(self) -> bool:
        """A veth goes when the namespace of either end does."""
        return "to-a" in self.lab.host.interfaces()

    def delete(self) -> None:
        """`ip netns del`, and the promise."""
        assert self.exists()
        self.netns.delete()
        self.wait_released()

    def wait_released(self) -> None:
        """The promise, for a namespace whose name is gone."""
        wait_until(lambda: not self.exists(), "the namespace is released", PROMISE)

    def cut_wire(self) -> None:
        """Nothing that is sent from now on arrives or is acknowledged."""
        self.lab.host.drop("iifname to-a")
