"""The version and the name of this distribution, said once: setup.cfg reads the version from here."""

from __future__ import annotations

VERSION = "0.2.0"
DISTRIBUTION = "tf1-migrate"
"""What pip installs. The package and the command are `migrate`; on the index that name is somebody else's."""
