"""Program that reads a PDF on standard input and writes its text to standard output.

It runs in a process of its own and imports nothing of Countersign: a damaged file may crash the parser, or use time and
memory without end.
"""

import os
import resource
import sys

MAX_MEMORY_BYTES = 256 << 20  # bytes of address space: with the drafter's own 180 MB less than the 512 of a pod
NICE_INCREMENT = 10  # drafts have priority
CPU_LIMIT_S = 10
MAX_PAGES = 200
MAX_CHARACTERS = 2_000_000


def main() -> int:
    """Extract the text. Exit codes: 3 damaged, 4 protected, 5 too long."""
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT_S, CPU_LIMIT_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    os.nice(NICE_INCREMENT)
    import pypdfium2

    data = sys.stdin.buffer.read()
    try:
        document = pypdfium2.PdfDocument(data)
        if len(document) > MAX_PAGES:
            return 5
        length = 0
        for page in document:
            text = page.get_textpage().get_text_bounded()
            length += len(text)
            if length > MAX_CHARACTERS:
                return 5
            sys.stdout.buffer.write(text.encode("utf-8", errors="replace") + b"\n\n")
    except pypdfium2.PdfiumError as error:
        return 4 if "password" in str(error).lower() else 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
