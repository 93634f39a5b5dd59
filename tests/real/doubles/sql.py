"""sql.py - as much of SQL as the doubles of SQL Server and ASE answer.

    select EXPR [as NAME], ... [from numbers(N)]
    raiserror('TEXT', 16, 1)        waitfor delay '0:0:SECONDS'

EXPR: 'text', N'text', a number, n (the row's, of numbers), @@version and other
variables, len(EXPR), replicate(EXPR, EXPR), and what the double knows of the
session, as functions: tls(), login(), packets().  Whatever else a driver says
(set, use, begin) is carried out by doing nothing.
"""
import re

TOKEN = re.compile(r"""\s*(?:(?P<text>[nN]?'(?:[^']|'')*')|(?P<number>\d+)|
    (?P<name>[@A-Za-z_][\w@.$]*|\[[^\]]*\])|(?P<sign>[(),;*=]))""", re.X)
VARIABLES = {'@@version': 'Microsoft SQL Server 2022 (double)', '@@spid': 51,
             '@@max_precision': 38, '@@trancount': 0, '@@servername': 'double',
             '@@tds_version': 'double', '@@rowcount': 1}
# What jTDS asks ASE before it believes in a character set.
CANNED = {'master.dbo.syscharsets': 'iso_1'}
RESERVED = {'from', 'set', 'where', 'if', 'select'}


class Error(Exception):
    """What the server says of a statement that it does not carry out."""

    def __init__(self, number, text):
        super().__init__(text)
        self.number = number


class National(str):
    """N'text'."""


class Answer:
    """No rows if names are empty; wait is in seconds."""

    def __init__(self, names=(), items=(), count=1, wait=0):
        self.names, self.items = names, items
        self.count, self.wait = count, wait

    def rows(self):
        for n in range(1, self.count + 1):
            yield [item(n) for item in self.items]


class Parser:
    def __init__(self, sql, facts):
        self.sql, self.at, self.facts = sql, 0, facts

    def next(self, kind, value=None):
        """The next token if it is this; else None, and nothing is read."""
        match = TOKEN.match(self.sql, self.at)
        if not match or match.lastgroup != kind:
            return None
        found = match.group(kind)
        if value is not None and found.lower() != value:
            return None
        self.at = match.end()
        return found

    def need(self, kind, value=None):
        found = self.next(kind, value)
        if found is None:
            near = self.sql[self.at:self.at + 20]
            raise Error(102, f"Incorrect syntax near '{near}'.")
        return found

    def expression(self):
        """A function of the row's number."""
        text = self.next('text')
        if text is not None:
            kind = str if text[0] == "'" else National
            text = kind(text[text.index("'") + 1:-1].replace("''", "'"))
            return lambda n: text
        number = self.next('number')
        if number is not None:
            number = int(number)
            return lambda n: number
        name = self.need('name').lower()
        if self.next('sign', '('):
            return self.call(name)
        if name == 'n':
            return lambda n: n
        if name in VARIABLES:
            return lambda n: VARIABLES[name]
        raise Error(207, f"Invalid column name '{name}'.")

    def call(self, name):
        values = []
        while not self.next('sign', ')'):
            if values:
                self.need('sign', ',')
            values.append(self.expression())
        if name == 'len':
            return lambda n: len(values[0](n))
        if name == 'replicate':
            return lambda n: values[0](n) * values[1](n)
        if name in self.facts:
            return lambda n: self.facts[name]
        raise Error(195, f"'{name}' is not a recognized function name.")

    def item(self):
        """An expression and its name."""
        value = self.expression()
        saved = self.at
        self.next('name', 'as')
        name = self.next('name')
        if name and name.lower() in RESERVED:
            self.at, name = saved, ''
        return (name or '').strip('[]'), value

    def select(self):
        items = [self.item()]
        while self.next('sign', ','):
            items.append(self.item())
        count = 1
        if self.next('name', 'from'):
            self.need('name', 'numbers')
            self.need('sign', '(')
            count = int(self.need('number'))
            self.need('sign', ')')
        return Answer([name for name, _ in items],
                      [value for _, value in items], count)


def answer(sql, facts):
    match = re.search(r"raiserror\s*\(\s*N?'([^']*)'", sql, re.I)
    if match:
        raise Error(50000, match.group(1))
    match = re.search(r"waitfor\s+delay\s+'\d+:\d+:(\d+)", sql, re.I)
    if match:
        return Answer(wait=int(match.group(1)))
    for word, value in CANNED.items():
        if word in sql:
            return Answer(['name'], [lambda n: value])
    match = re.search(r"(?:^|\s)select\s", sql, re.I)
    if not match:
        return Answer()
    parser = Parser(sql, facts)
    parser.at = match.end()
    return parser.select()
