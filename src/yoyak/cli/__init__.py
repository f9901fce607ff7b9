"""The command line: parse, one call, print; results on stdout, messages on stderr.

Exit codes: 0 done · 2 usage · 65 bad input data · 66 input missing · 69 library, model or device
missing · 70 a run failed · 73 cannot write · 74 disk full · 75 interrupted with everything saved,
start it again · 78 bad recipe (see ``yoyak.errors``).
"""

import io
import os
import sys
import threading
from collections.abc import Sequence

from yoyak import messages
from yoyak.errors import InputMissing, YoyakError


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``yoyak`` with ``arguments`` (default: the process's own) and exit."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal may lack Hangul or a dash; these escapes are valid in JSON strings as well.
            stream.reconfigure(errors="backslashreplace")
    try:
        _run(words)
    except SystemExit as error:
        if any(thread.name == "yoyak-background" for thread in threading.enumerate()):
            # A tracker that hangs (yoyak.trackers.live) would block its library's exit handlers.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(error.code if isinstance(error.code, int) else int(bool(error.code)))
        raise


def _run(words: Sequence[str]) -> None:
    with messages.speaking(_language(words)):
        try:
            # Help texts are looked up while the application is built, in the language just chosen.
            import typer

            from yoyak.cli.app import app
            from yoyak.cli.help import usage_error

            try:
                sys.exit(app(words, prog_name="yoyak", standalone_mode=False))
            except typer.TyperException as error:
                print(usage_error(error), file=sys.stderr)
                sys.exit(error.exit_code)
            except typer.Abort:
                sys.exit(130)
        except (YoyakError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
            from yoyak.report.render.escape import printable
            from yoyak.runs.redact import redact

            # It may repeat what was typed or what a library said, a token by mistake among it.
            ours = error if isinstance(error, YoyakError) else _unreadable(error)
            print(messages.text("cli.error", error=printable(redact(str(ours)))), file=sys.stderr)
            sys.exit(ours.exit_code)
        except BrokenPipeError:
            # The reader (`| head`) has closed the pipe; the flush at exit must not fail.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _unreadable(error: OSError) -> InputMissing:
    """Return the error that names a record which the system does not let anybody read as a file."""
    return InputMissing("data.unreadable", file=error.filename, problem=error.strerror)


def _language(words: Sequence[str]) -> messages.Language | None:
    for word, following in zip(words, [*words, ""][1:], strict=True):
        name, _, value = word.partition("=")
        if name == "--lang":
            chosen = value or following
            return next((lang for lang in messages.LANGUAGES if lang == chosen), None)
    return None
