"""The tables and their columns, as docs/formats/digital-objects.md names them."""

from __future__ import annotations

COLUMNS = {
    "organisations": "bin class name_kk name_ru name_en kind parent_bin kato area",
    "objects": (
        "id kind name_kk name_ru name_en purpose_kk purpose_ru purpose_en owner_bin holder_bin operator_bin area kato"
        " legal_basis functions public_services status status_since created object_class critical subsystems"
        " use_channel data_elements source_of_truth register_data personal_data hosting data_location stack monolith"
        " source_code_deposited declared_users initial_estimate acquisition platform_products disposition"
        " disposition_due exemption result ai actualised"
    ),
    "costs": "object year kind tenge programme state",
    "contracts": "id object supplier_bin subject signed ends warranty_until tenge",
    "affiliations": "supplier_bin group",
    "components": "object component fingerprint supplier_bin",
    "documents": "object type number date valid_until sha256",
    "roles": "object role holder since until successor",
    "integrations": ("id consumer_object provider_object service channel status declared_monthly_calls elements since"),
    "interfaces": "object service fields",
    "milestones": "object name version due budget done recorded",
    "migration": "object person_days_left team target",
    "ai_cards": "object risk reviewed output_labelled",
    "compute": "object month gpu_hours_allocated gpu_hours_used",
    "signals": "object month sign_ins signed_by",
}
DETECTORS = [
    "paid_but_unused",
    "commissioned_without_use",
    "duplicate",
    "trial_too_long",
    "modification_over_limit",
    "legal_vacuum",
    "stale_record",
    "integration_gap",
    "supplier_concentration",
    "expiry_without_team",
    "obsolete_stack",
    "slippage",
    "orphan",
    "zero_result",
    "after_moratorium",
    "migration_infeasible",
    "register_copy",
    "ai_unclassified",
    "resurrected",
    "idle_compute",
    "self_made_traffic",
]
PAIRS = {"duplicate", "resurrected", "register_copy"}
OPERATING = ("commissioned", "operation", "development", "modification")
STAGES = ("planning", "creation", "trial", "security_tests", *OPERATING, "ceased", "archived", "written_off")
