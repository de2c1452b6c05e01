# SPDX-License-Identifier: Apache-2.0
"""The memory of a cohort: one SQLite file that says of every case what was done with it, when, and by whom.

A case is ``waiting``, ``running``, ``done`` or ``failed``. Reviewers' decisions are rows of their own that are never
changed, only marked as undone, so that no correction can be lost. Every change is one transaction, flushed to disk
before it counts; a process killed at any moment leaves a catalogue that the next one goes on with.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from unibiomed.cohort.cases import Case, told_apart
from unibiomed.cohort.plan import Plan, plan_from
from unibiomed.cohort.reading import Reading
from unibiomed.cohort.records import VERDICTS, Decision, Outcome, Record, State, Verdict, record_of
from unibiomed.errors import InputError

FORMAT = "unibiomed.catalogue/1"
FILE = "catalogue.sqlite"
#: Folder of what the model made, a folder a case; what reviewers made lies elsewhere.
AUTOMATIC = "automatic"

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE cases (
    id TEXT PRIMARY KEY, patient TEXT NOT NULL, path TEXT NOT NULL, series_uid TEXT,
    state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done', 'failed')),
    attempts INTEGER NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '', finished REAL, seconds REAL,
    model TEXT, weights_sha256 TEXT, plan_sha256 TEXT, prompts TEXT NOT NULL DEFAULT '[]',
    confidence REAL, disagreement REAL, segments INTEGER, embedding BLOB,
    dicom_modality TEXT, reading TEXT
);
CREATE INDEX cases_by_state ON cases (state, id);
CREATE TABLE decisions (
    number INTEGER PRIMARY KEY AUTOINCREMENT, case_id TEXT NOT NULL REFERENCES cases (id),
    verdict TEXT NOT NULL CHECK (verdict IN ('accepted', 'corrected', 'rejected')),
    reviewer TEXT NOT NULL, at REAL NOT NULL, folder TEXT, note TEXT NOT NULL DEFAULT '', undone_at REAL
);
CREATE INDEX decisions_by_case ON decisions (case_id, number);
"""
#: Columns of ``cases`` that the first catalogues had not; added when such a one is opened.
_LATER_COLUMNS = ("dicom_modality", "reading")


class Catalogue:
    """The catalogue in a folder. Safe to open from several processes; each change is atomic."""

    def __init__(self, folder: Path) -> None:
        """Open an existing catalogue. InputError when there is none, it is of another version or may not be written."""
        self.folder = folder
        path = folder / FILE
        if not path.is_file():
            raise InputError(f"{folder} holds no catalogue; make one with: unibiomed annotate COHORT --output {folder}")
        try:
            self._connection = _connect(path)
        except sqlite3.Error as error:
            raise _unusable(path, error) from error
        try:
            found = self._meta("format")
            if found == FORMAT:
                self._add_later_columns()
        except sqlite3.Error as error:
            self.close()
            raise _unusable(path, error) from error
        if found != FORMAT:
            self.close()
            raise InputError(f"{path} is of the format {found}, this program reads {FORMAT}.")

    @classmethod
    def create(cls, folder: Path, cohort: Path, plan: Plan, cases: Iterable[Case]) -> Catalogue:
        """Make a new catalogue; all or nothing. InputError when there is one already."""
        if (folder / FILE).exists():
            raise InputError(f"{folder / FILE} is there already; open it, or choose another folder.")
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / f".{FILE}.new"
        fresh.unlink(missing_ok=True)
        connection = _connect(fresh, journal="DELETE")
        with connection:
            connection.executescript(_TABLES)
            facts = {"format": FORMAT, "cohort": str(cohort.absolute()), "plan": plan.model_dump_json()}
            # One transaction: flushing a million rows one by one takes hours.
            connection.execute("BEGIN")
            connection.executemany("INSERT INTO meta VALUES (?, ?)", facts.items())
            connection.executemany(
                "INSERT INTO cases (id, patient, path, series_uid, dicom_modality) VALUES (?, ?, ?, ?, ?)", _rows(cases)
            )
        connection.close()
        fresh.replace(folder / FILE)
        return cls(folder)

    def close(self) -> None:
        """Close the file; the catalogue must not be used afterwards."""
        self._connection.close()

    def __enter__(self) -> Catalogue:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def cohort(self) -> Path:
        """The folder that the cases' paths are relative to."""
        return Path(self._meta("cohort"))

    @property
    def plan(self) -> Plan:
        """The plan that the cases are annotated by."""
        return plan_from(json.loads(self._meta("plan")), f"the plan in {self.folder / FILE}")

    def set_plan(self, plan: Plan) -> None:
        """Replace the plan; cases done by the old one stay as they are until ``wait_again``."""
        with self._changing():
            self._connection.execute("UPDATE meta SET value = ? WHERE key = 'plan'", (plan.model_dump_json(),))

    def add_cases(self, cases: Iterable[Case]) -> int:
        """Add those that are new; returns how many were.

        A case is known by its place, whatever its id; a new one whose id is taken gets another.
        """
        with self._changing():
            known = {(path, uid) for path, uid in self._connection.execute("SELECT path, series_uid FROM cases")}
            taken = {name.lower() for (name,) in self._connection.execute("SELECT id FROM cases")}
            new, told = [], []
            for case in cases:
                if (case.path, case.series_uid) in known or _is_in_folder_of(case, known):
                    told += [(case.dicom_modality, case.id, case.path)] if case.dicom_modality else []
                    continue
                new.append(case if case.id.lower() not in taken else told_apart(case))
                taken.add(new[-1].id.lower())
            self._connection.executemany(
                "INSERT INTO cases (id, patient, path, series_uid, dicom_modality) VALUES (?, ?, ?, ?, ?)", _rows(new)
            )
            # What the first catalogues did not keep.
            self._connection.executemany(
                "UPDATE cases SET dicom_modality = ? WHERE id = ? AND path = ? AND dicom_modality IS NULL", told
            )
            return len(new)

    def cases_in(self, state: State) -> Iterator[Case]:
        """The cases in a state, ordered by id, without what was found in them."""
        rows = self._connection.execute(
            "SELECT id, patient, path, series_uid, dicom_modality FROM cases WHERE state = ? ORDER BY id", (state,)
        )
        for row in rows:
            yield Case(*row)

    def counts(self) -> dict[State, int]:
        """Number of cases in each state."""
        found = dict(self._connection.execute("SELECT state, COUNT(*) FROM cases GROUP BY state"))
        return {state: found.get(state, 0) for state in ("waiting", "running", "done", "failed")}

    def wait_again(self, states: Sequence[State], *, reviewed: bool = False) -> int:
        """Put cases back to waiting, those with a reviewer's decision only if ``reviewed``; returns how many."""
        marks = ",".join("?" * len(states))
        kept = "" if reviewed else "AND id NOT IN (SELECT case_id FROM decisions WHERE undone_at IS NULL)"
        with self._changing():
            done = self._connection.execute(
                # Only question marks and a constant are put together here.
                f"UPDATE cases SET state = 'waiting' WHERE state IN ({marks}) {kept}",  # noqa: S608
                states,
            )
            return done.rowcount

    def try_again(self, failed: Iterable[str]) -> int:
        """Put these cases, by id, back to waiting if they failed; returns how many."""
        with self._changing():
            done = self._connection.executemany(
                "UPDATE cases SET state = 'waiting' WHERE id = ? AND state = 'failed'", [(name,) for name in failed]
            )
            return done.rowcount

    def claim(self) -> Case | None:
        """The next waiting case, marked as running; None when none waits."""
        with self._changing():
            row = self._connection.execute(
                "UPDATE cases SET state = 'running', attempts = attempts + 1 WHERE id = "
                "(SELECT id FROM cases WHERE state = 'waiting' ORDER BY id LIMIT 1) "
                "RETURNING id, patient, path, series_uid, dicom_modality"
            ).fetchone()
        return Case(*row) if row else None

    def give_back(self, case_id: str) -> None:
        """A running case was not worked on after all."""
        with self._changing():
            self._connection.execute(
                "UPDATE cases SET state = 'waiting' WHERE id = ? AND state = 'running'", (case_id,)
            )

    def finish(self, case_id: str, outcome: Outcome) -> None:
        """A running case is done."""
        vector = None if outcome.embedding is None else np.asarray(outcome.embedding, dtype="<f4").tobytes()
        values = (
            time.time(), outcome.seconds, outcome.model, outcome.weights_sha256, self.plan.sha256,
            json.dumps(outcome.prompts), outcome.confidence, outcome.disagreement, outcome.segments, vector,
            None if outcome.reading is None else outcome.reading.to_text(), case_id,
        )  # fmt: skip
        with self._changing():
            self._connection.execute(
                "UPDATE cases SET state = 'done', reason = '', finished = ?, seconds = ?, model = ?, "
                "weights_sha256 = ?, plan_sha256 = ?, prompts = ?, confidence = ?, disagreement = ?, segments = ?, "
                "embedding = ?, reading = ? WHERE id = ?",
                values,
            )

    def fail(self, case_id: str, reason: str) -> None:
        """A running case could not be done; ``reason`` is one sentence."""
        with self._changing():
            self._connection.execute(
                "UPDATE cases SET state = 'failed', reason = ?, finished = ? WHERE id = ?",
                (reason, time.time(), case_id),
            )

    def decide(
        self, case_id: str, verdict: Verdict, reviewer: str, *, folder: str | None = None, note: str = ""
    ) -> Decision:
        """Write a reviewer's decision down. InputError for a case that is not done, an empty reviewer or verdict."""
        if verdict not in VERDICTS:
            raise InputError(f"A case is {', '.join(VERDICTS[:-1])} or {VERDICTS[-1]}, not {verdict!r}.")
        if not reviewer.strip():
            raise InputError("Say who decides: the reviewer's name is empty.")
        with self._changing():
            row = self._connection.execute("SELECT state FROM cases WHERE id = ?", (case_id,)).fetchone()
            if row is None or row[0] != "done":
                state = "not there" if row is None else row[0]
                raise InputError(f"The case {case_id} is {state}; only one that is done can be reviewed.")
            now = time.time()
            number = self._connection.execute(
                "INSERT INTO decisions (case_id, verdict, reviewer, at, folder, note) VALUES (?, ?, ?, ?, ?, ?)",
                (case_id, verdict, reviewer.strip(), now, folder, note),
            ).lastrowid
        return Decision(int(number or 0), case_id, verdict, reviewer.strip(), now, folder, note)

    def undo(self, case_id: str | None = None) -> Decision | None:
        """Take back the last decision (of a case, or of all), None if there is none; it stays there, marked."""
        with self._changing():
            row = self._connection.execute(
                "SELECT MAX(number) FROM decisions WHERE undone_at IS NULL AND (? IS NULL OR case_id = ?)",
                (case_id, case_id),
            ).fetchone()
            return self._mark_undone(row[0])

    def take_back(self, number: int) -> Decision | None:
        """Take back one decision, None if it does not stand (any more); it stays there, marked."""
        with self._changing():
            return self._mark_undone(number)

    def last_decision(self, reviewer: str = "") -> Decision | None:
        """The last decision that stands, of ``reviewer`` where a name is given."""
        name = reviewer.strip()
        row = self._connection.execute(
            "SELECT number, case_id, verdict, reviewer, at, folder, note FROM decisions "
            "WHERE undone_at IS NULL AND (? = '' OR reviewer = ?) ORDER BY number DESC LIMIT 1",
            (name, name),
        ).fetchone()
        return Decision(*row) if row else None

    def reviewed(self) -> int:
        """Number of cases that a decision stands on."""
        row = self._connection.execute("SELECT COUNT(DISTINCT case_id) FROM decisions WHERE undone_at IS NULL")
        return row.fetchone()[0]

    def history(self, case_id: str) -> list[tuple[Decision, bool]]:
        """Every decision about a case, oldest first, and whether it stands."""
        rows = self._connection.execute(
            "SELECT number, case_id, verdict, reviewer, at, folder, note, undone_at FROM decisions "
            "WHERE case_id = ? ORDER BY number",
            (case_id,),
        )
        return [(Decision(*row[:-1]), row[-1] is None) for row in rows]

    def record(self, case_id: str) -> Record:
        """One case. InputError when it is not there."""
        for record in self.records(case_id=case_id):
            return record
        raise InputError(f"There is no case {case_id} in {self.folder}.")

    def records(
        self, *, case_id: str | None = None, first: int = 0, most: int | None = None, embeddings: bool = True
    ) -> Iterator[Record]:
        """Every case, ordered by id, with the decision that stands; of these at most ``most`` from ``first`` on.

        ``embeddings`` are most of what a record weighs; without them they are None.
        """
        # Constants and question marks only; written apart so that one case is found by its key.
        one = () if case_id is None else (case_id,)
        its, where = ("AND case_id = ?", "WHERE id = ?") if one else ("", "")
        standing = {
            row[1]: Decision(*row)
            for row in self._connection.execute(
                "SELECT number, case_id, verdict, reviewer, at, folder, note FROM decisions "  # noqa: S608
                f"WHERE undone_at IS NULL {its} ORDER BY number",
                one,
            )
        }
        vector = "embedding" if embeddings else "NULL"
        rows = self._connection.execute(
            "SELECT id, patient, path, series_uid, dicom_modality, state, attempts, reason, finished, seconds, model, "  # noqa: S608
            f"weights_sha256, prompts, confidence, segments, disagreement, {vector}, reading "
            f"FROM cases {where} ORDER BY id LIMIT ? OFFSET ?",
            (*one, -1 if most is None else most, first),
        ).fetchall()
        for row in rows:
            yield replace(record_of(row), decision=standing.get(row[0]))

    def readings(self) -> Iterator[tuple[float, Reading | None]]:
        """Seconds and reading of every case that is done, one at a time: a million need no more memory than one."""
        rows = self._connection.execute("SELECT seconds, reading FROM cases WHERE state = 'done'")
        for seconds, text in rows:
            yield seconds, Reading.from_text(text)

    def _mark_undone(self, number: int | None) -> Decision | None:
        row = self._connection.execute(
            "UPDATE decisions SET undone_at = ? WHERE number = ? AND undone_at IS NULL "
            "RETURNING number, case_id, verdict, reviewer, at, folder, note",
            (time.time(), number),
        ).fetchone()
        return Decision(*row) if row else None

    def _add_later_columns(self) -> None:
        if not self._missing_columns():
            return
        with self._changing():
            # Asked again: another process may have added them in between.
            for column in self._missing_columns():
                self._connection.execute(f"ALTER TABLE cases ADD COLUMN {column} TEXT")

    def _missing_columns(self) -> list[str]:
        there = {row[1] for row in self._connection.execute("PRAGMA table_info(cases)")}
        return [column for column in _LATER_COLUMNS if column not in there]

    def _meta(self, key: str) -> str:
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else ""

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """One transaction with the right to write from its start: no other process writes between its lines."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


def _connect(path: Path, journal: str = "WAL") -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30.0, isolation_level=None)
    try:
        connection.execute(f"PRAGMA journal_mode = {journal}")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _unusable(path: Path, error: sqlite3.Error) -> InputError:
    return InputError(
        f"{path} cannot be opened as a catalogue ({error}); is it one, and may you write to it and to its folder?"
    )


def _rows(cases: Iterable[Case]) -> list[tuple[str, str, str, str | None, str | None]]:
    return [(case.id, case.patient, case.path, case.series_uid, case.dicom_modality) for case in cases]


def _is_in_folder_of(case: Case, known: set[tuple[str, str | None]]) -> bool:
    """A series of one file was known by its folder as long as it was the only one there."""
    return case.series_uid is not None and (str(PurePosixPath(case.path).parent), case.series_uid) in known
