"""The search index: what the rows of large collections say, field by field, in a file of its own.

A list may be asked for by any field, in any way and order, and must not walk a million rows of JSON for it. So rows
that have settled are copied, some thousands at a time, into *chunks*: of each field a *plane*, a blob in which the
values of the chunk's rows lie side by side. A condition is then worked out for all rows of a plane by one pass over its
bytes, and conditions are joined as large integers; what they find, and in which order, says which few rows to read.

Long texts, such as the values of data, are held in another way: by their order, and cut into *pieces* that thousands of
rows have in common and *slots* between these, where they differ. What these leave open is looked at in the table.

The index is never the truth. It may be away, behind, or thrown away: rows that it has not taken in (the newest, those
that have not settled, those that changed) are always looked for in their tables, so an answer is exact however far it
has come. On a database that has bitmap or column indexes of its own this room would be empty.
"""

from ffd.store.index.answer import Answer, consult
from ffd.store.index.layout import Layout

__all__ = ["Answer", "Layout", "consult"]
