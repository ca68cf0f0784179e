"""Runs alone, as a program: a PDF on standard input, its text on standard output. Imports nothing of Countersign.

A damaged file may crash the library that reads it, or take time and memory without end: here it takes nobody with it.
"""

import os
import resource
import sys

MEMORY = 256 << 20  # bytes of address space: with the drafter's own 180 MB less than the 512 of a pod
GIVES_WAY = 10  # nice: drafts are waited for
SECONDS = 10  # of CPU
PAGES = 200
LONGEST = 2_000_000  # characters


def main() -> int:
    """Exit codes: 3 damaged, 4 protected, 5 too long."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    os.nice(GIVES_WAY)
    import pypdfium2

    data = sys.stdin.buffer.read()
    try:
        document = pypdfium2.PdfDocument(data)
        if len(document) > PAGES:
            return 5
        length = 0
        for page in document:
            text = page.get_textpage().get_text_bounded()
            length += len(text)
            if length > LONGEST:
                return 5
            sys.stdout.buffer.write(text.encode("utf-8", errors="replace") + b"\n\n")
    except pypdfium2.PdfiumError as error:
        return 4 if "password" in str(error).lower() else 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
