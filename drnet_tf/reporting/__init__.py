"""Results for people: tables, figures and one self-contained HTML page.

`tables` formats rows as Markdown, HTML or plain text, `figures` draws SVG
pictures (they need matplotlib, the extra `report`), and `page` puts both into a
single file that needs no other.
"""
