"""The words of made-up contracts: offers by position of the service line, phases, milestones, clauses, reasons."""

OFFERS = (
    (
        "Growth strategy",
        "Operating model design",
        "Market entry study",
        "Post-merger integration office",
        "Cost transformation",
        "Pricing review",
    ),
    (
        "ERP core replacement",
        "Data platform build",
        "Cloud migration",
        "Customer portal",
        "Integration architecture",
        "Managed engineering team",
    ),
    (
        "Supply chain redesign",
        "Shared service centre set-up",
        "Procurement excellence",
        "Finance process harmonisation",
        "Warehouse network plan",
        "Planning support",
    ),
    (
        "Regulatory reporting programme",
        "Internal controls review",
        "Model validation",
        "Third-party risk assessment",
        "Cyber resilience exercise",
        "Compliance advisory retainer",
    ),
)
PHASES = ("Assess and design", "Build and pilot", "Roll-out", "Stabilise and hand over")
MILESTONES = (
    "Mobilisation and charter",
    "Current state report",
    "Target picture agreed",
    "Design sign-off",
    "Pilot accepted",
    "Build complete",
    "User acceptance",
    "First go-live",
    "Roll-out complete",
    "Hand-over accepted",
    "Final report",
)
# With the share of contracts that carry them in CUAD v1 (The Atticus Project, CC BY 4.0).
CLAUSES = (
    ("limitation_of_liability", 275 / 510),
    ("audit_rights", 214 / 510),
    ("termination_for_convenience", 183 / 510),
    ("post_termination_services", 182 / 510),
    ("minimum_commitment", 165 / 510),
)
ALWAYS_CLAUSES = ("data_protection", "payment")
CANCELLED = ("customer withdrew before the start", "budget not released", "replaced by a framework agreement")
TERMINATED = ("terminated for convenience", "scope moved to another supplier", "programme stopped by the customer")

SUSPENDED = "The client's regulator reviews the programme"
DECLINED = ("The client goes in-house", "Another firm was chosen", "The programme has ended")
