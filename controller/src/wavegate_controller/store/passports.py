"""The passports of features, in table `passport`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from wavegate_controller.documents.passports import passport_from_document, passport_to_document
from wavegate_controller.domain.errors import StaleVersion
from wavegate_controller.domain.passport import Passport, Stage
from wavegate_controller.store import tables
from wavegate_controller.store.mapping import Columns
from wavegate_controller.store.writing import insert_row, replace_row


@dataclass(frozen=True, slots=True)
class SqlPassports:
    """Fulfils `ports.PassportRepository`."""

    connection: Connection

    def find(self, environment: str, flag_key: str) -> Passport | None:
        """That of one flag; None where nobody began one."""
        table = tables.passport
        query = select(table.c.document).where(table.c.environment == environment, table.c.flag_key == flag_key)
        document = self.connection.scalar(query)
        return None if document is None else passport_from_document(document)

    def list(self, environment: str) -> Sequence[Passport]:
        """All of an environment, by flag."""
        table = tables.passport
        query = select(table.c.document).where(table.c.environment == environment).order_by(table.c.flag_key)
        return [passport_from_document(document) for document in self.connection.scalars(query)]

    def in_stage(self, stage: Stage) -> Sequence[Passport]:
        """Those in a stage, of all environments."""
        table = tables.passport
        query = select(table.c.document).where(table.c.stage == stage.value).order_by(*table.primary_key)
        return [passport_from_document(document) for document in self.connection.scalars(query)]

    def stages(self, environment: str) -> Mapping[str, Stage]:
        """Flag key to the stage that its passport says."""
        table = tables.passport
        query = select(table.c.flag_key, table.c.stage).where(table.c.environment == environment)
        return {flag_key: Stage(stage) for flag_key, stage in self.connection.execute(query)}

    def add(self, passport: Passport) -> None:
        """A new one; raises StaleVersion when somebody else began one meanwhile."""
        taken = StaleVersion("passport", passport.flag_key)
        insert_row(self.connection, tables.passport, _row(passport), taken=taken)

    def save(self, passport: Passport) -> None:
        """Replace version `passport.version - 1`; raises StaleVersion when that is not what is stored."""
        stale = StaleVersion("passport", passport.flag_key)
        replace_row(self.connection, tables.passport, _row(passport), stale=stale)


def _row(passport: Passport) -> Columns:
    return {
        "environment": passport.environment,
        "flag_key": passport.flag_key,
        "stage": passport.stage.value,
        "document": passport_to_document(passport),
        "version": passport.version,
    }
