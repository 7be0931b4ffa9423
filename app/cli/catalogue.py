"""Every command with its line of help, and where it stands. A test holds each line to the command's own words."""

from typing import Final

from app.cli.elsewhere import Elsewhere

COMMANDS: Final = (
    Elsewhere(
        "up",
        "running:up",
        "Start everything on this machine and print a link to the dashboard. Ctrl-C stops it; all data is kept.",
    ),
    Elsewhere("web", "running:web", "Run the dashboard and the intake of events, on one port."),
    Elsewhere(
        "api",
        "running:api",
        "Run the intake of events alone, so that no page that is drawn keeps a CLM waiting.",
    ),
    Elsewhere(
        "dashboard",
        "running:dashboard",
        "Run the dashboard alone; TIELINE_READ_DATABASE_URL lets it read a replica.",
    ),
    Elsewhere(
        "worker",
        "running:worker",
        "Run one worker: it provisions contracts, reports to the CLM, polls, and collects financial status.",
    ),
    Elsewhere(
        "sandbox",
        "running:sandbox",
        "Run the sandbox CLM and ERP of the estate; sandbox.json in the home says where they answer.",
    ),
    Elsewhere(
        "tryton",
        "running:tryton",
        "Run Tryton beside the demo; a part of `tieline up --with tryton`, which tells it where.",
        hidden=True,
    ),
    Elsewhere("status", "status:status", "Show how many contracts are in which state, what waits, and what runs."),
    Elsewhere(
        "database-url",
        "installation:database_url",
        "Print the URL of the database in use, password included, for psql and pg_dump.",
    ),
    Elsewhere(
        "link",
        "installation:link",
        "Print a link that opens the dashboard once, within an hour. Not with an identity provider in the estate.",
    ),
    Elsewhere(
        "migrate",
        "installation:migrate",
        "Bring the database to the tables of this release; safe to repeat, and from several hosts at once.",
    ),
    Elsewhere("version", "installation:version", "Print the release."),
    Elsewhere(
        "evidence",
        "audit:evidence",
        "Write all that is known of a contract, with proof, to a folder that an auditor can check without Tieline.",
    ),
    Elsewhere(
        "evidence-verify",
        "audit:evidence_verify",
        "Check a folder of evidence, offline: every file, every signature, every audit row's place in the chain.",
    ),
    Elsewhere(
        "retention",
        "retention:retention",
        "Delete the records of contracts that ended before a day; legal holds are honoured, the audit stays.",
    ),
    Elsewhere(
        "objectives",
        "schedules:objectives",
        "Show the service-level objectives: whether each is kept, and how much of its budget of 30 days is left.",
    ),
    Elsewhere(
        "adopt",
        "adopt:adopt",
        "Show which projects of an ERP belong to which contracts, and with --apply adopt them; docs/first_day.md.",
    ),
    Elsewhere(
        "kpi",
        "kpi:kpi",
        "Show a KPI: its value, how sure it is, and what is not in it. Thirteen weeks up to now unless said otherwise.",
    ),
    Elsewhere(
        "renewals",
        "renewals:renewals",
        "Show contracts that are to be renewed, and those whose renewal was declined; what has passed comes last.",
    ),
    Elsewhere(
        "amendments",
        "amendments:amendments",
        "Show the amendments of a contract, oldest first: terms and schedule before and after each, and when it was in "
        "the ERP.",
    ),
    Elsewhere(
        "reconcile",
        "reconcile:reconcile",
        "Compare contracts with their CLM and ERP, by the workers, and show where they differ.",
    ),
    Elsewhere(
        "validate",
        "validate:validate",
        "Say whether terms would be provisioned if they were signed now, and what speaks against it. Writes nothing.",
    ),
    Elsewhere(
        "verify",
        "verify:verify",
        "Rebuild contracts, crosswalk and plans from the events, and compare them with the tables. Writes nothing.",
    ),
    Elsewhere("client", "clients:client", "Programs that may call the API: make, list, rotate, revoke, disable."),
    Elsewhere("session", "clients:session", "People who are signed in: list them, or sign somebody out."),
    Elsewhere("audit", "audit:audit", "Verify the audit, sign its state, print the key that signs."),
    Elsewhere("hold", "retention:hold", "Keep contracts' records from retention."),
    Elsewhere(
        "subscriber",
        "delivery:subscriber",
        "Systems that get our events: list, pause, resume, send again, test.",
    ),
    Elsewhere("notify", "delivery:notify", "Messages to people: list the rules, or try one."),
    Elsewhere("rates", "finance:rates", "Exchange rates: import, list."),
    Elsewhere("disputes", "finance:disputes", "Billing disputes of ERPs that report none: import."),
    Elsewhere("baseline", "finance:baseline", "Numbers from before go-live: import, show."),
    Elsewhere("assumptions", "finance:assumptions", "What differences are worth: import, show."),
    Elsewhere("exceptions", "conflicts:exceptions", "Exceptions: list, look at, work on, correct, approve."),
    Elsewhere("import", "import_files:imports", "Contracts from files that others publish; docs/import.md."),
    Elsewhere("move", "move:move", "Moves of contracts between ERPs; docs/moves.md."),
    Elsewhere(
        "policy",
        "policy:policy",
        "Decision tables: explain, check, compare with another policy, propose and approve one.",
    ),
    Elsewhere("quarantine", "quarantine:quarantine", "Events in quarantine: list, look at, release, dismiss."),
    Elsewhere("replay", "replay:replay", "Replays: preview, confirm, watch, pause, cancel."),
    Elsewhere("schedules", "schedules:schedules", "Scheduled jobs: list, run now, pause, resume."),
    Elsewhere(
        "schemas",
        "schemas:schemas",
        "Versions of events: list, check against what is stored, register, acknowledge.",
    ),
    Elsewhere("snapshot", "snapshot:snapshot", "Weekly snapshots: make one here, check, list, compare weeks."),
)
