"""Distributions that are really installed, as far as Python can tell: a module and its metadata in a directory on the path."""

from __future__ import annotations

from pathlib import Path

METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"

SOURCE = '''
import attrs
from policies import Phase, Plan, Policy, View

@attrs.frozen
class Backwards(Policy):
    """The other way round."""

    phase = Phase.ORDER
    really: bool = True

    def apply(self, plan: Plan, view: View) -> Plan:
        return attrs.evolve(plan, steps=plan.steps[::-1] if self.really else plan.steps)

@attrs.frozen
class Phaseless(Policy):
    def apply(self, plan: Plan, view: View) -> Plan:
        return plan

class Plain(Policy):
    phase = Phase.ORDER

    def apply(self, plan: Plan, view: View) -> Plan:
        return plan

not_a_policy = 3
'''


def install(site: Path, name: str, entry_points: str | bytes, **modules: str) -> None:
    """Install a distribution into `site`. `entry_points` is the text of that file, `modules` are sources by name."""
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(METADATA.format(name=name))
    text = entry_points if isinstance(entry_points, bytes) else entry_points.encode()
    (info / "entry_points.txt").write_bytes(text)
    for module, source in modules.items():
        (site / f"{module}.py").write_text(source)


def offer(**policies: str) -> str:
    """An `entry_points.txt` that offers these policies: name -> `module:Class`. An underscore is written as a hyphen."""
    lines = [f"{name.replace('_', '-')} = {value}" for name, value in policies.items()]
    return "\n".join(["[hedgerow.policies]", *lines, ""])
