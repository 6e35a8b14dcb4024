"""The mark of the project: a cookie with a keyhole, small enough for a tab of a browser."""

MARK = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" role="img" aria-label="Flask-SessionKit">
<rect width="64" height="64" rx="15" fill="#1f6b50"/>
<path d="M44.4 14.3A21 21 0 1 0 52.7 30.5 10 10 0 0 1 44.4 14.3Z" fill="#f6efdd"/>
<circle cx="51" cy="17" r="3" fill="#f6efdd"/>
<path d="M32 23.5a6 6 0 0 1 3.1 11.2l2.1 9.3h-10.4l2.1-9.3A6 6 0 0 1 32 23.5Z" fill="#1f6b50"/>
</svg>
"""
