"""Run the simulator: `python -m loadtest.provider --port 0` prints its address and serves until stopped."""

import argparse
import asyncio

from loadtest.provider.behaviours import BEHAVIOURS
from loadtest.provider.server import MODEL, Simulator, running


def main() -> None:
    """Read the arguments and serve."""
    models = "\n".join(
        f"  {MODEL + (':' + name if name else ''):26} {behaviour.about}"
        for name, behaviour in BEHAVIOURS.items()
    )
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.provider",
        description="A simulator of an OpenAI-compatible model server.",
        epilog=f"models:\n{models}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--key", default="", help="the only API key to accept; any when left out")
    parser.add_argument("--piece-ms", type=float, default=20.0, help="pause between two pieces of an answer")
    arguments = parser.parse_args()
    simulator = Simulator(key=arguments.key, piece_seconds=arguments.piece_ms / 1000)
    try:
        asyncio.run(_serve(simulator, arguments.port))
    except KeyboardInterrupt:
        print("Stopped.")


async def _serve(simulator: Simulator, port: int) -> None:
    async with running(simulator, port) as address:
        print(f"The provider simulator listens on {address}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    main()
