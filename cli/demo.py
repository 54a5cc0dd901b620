"""placeholder replaced below"""

import click


@click.command()
def demo() -> None:
    """Watch chains race."""
