//! The specification of Rollcall, as tests of the whole system. Each module is a feature, and each file opens
//! with what it specifies. What tests share is in the kit, `tests/src`.

mod clients {
    mod conformance;
    mod conversations;
    mod real_clients;
}

mod console {
    mod access;
    mod changes;
    mod connectors;
    mod large;
    mod settings;
    mod setup;
    mod trails;
    mod users;
}

mod deploy {
    mod cargo_lambda;
    mod cold_start;
    mod demo;
    mod documents;
    mod engine;
    mod events;
    mod layers;
    mod local_metrics;
    mod logs;
    mod memory;
    mod metrics;
    mod monitoring;
    pub mod process;
    mod reference;
    mod rights;
    mod sam_local;
    mod slow_requests;
    mod start_page;
    mod template;
}

mod directory {
    mod audit;
    mod budgets;
    mod check;
    mod concurrency;
    mod deliveries;
    mod error_codes;
    mod faults;
    mod feed_costs;
    mod feed_markings;
    mod feed_stalls;
    mod feeds;
    mod in_process;
    mod interrupted;
    mod leavers;
    mod long_commands;
    mod migration;
    mod names;
    mod namesakes;
    mod partition_ceilings;
    mod reindex;
    mod request_trail;
    mod storm;
    mod takeovers;
    mod torn_reads;
    mod unfinished_work;
}

mod kit {
    mod gateway;
    mod invariants;
}

mod operators {
    mod audit;
    mod auditors;
    mod cedar_check;
    mod cedar_decisions;
    mod cedar_export;
    mod conflicts;
    mod connectors;
    mod deliveries;
    mod display_names;
    mod duplicates;
    mod feeds;
    mod identity;
    mod link_by_email;
    mod listing;
    mod local_users;
    mod login;
    mod merge;
    mod oauth;
    mod orphans;
    mod output;
    mod requests;
    mod roles;
    mod rules;
    mod schemas;
    mod settings;
    mod terminal;
    mod transfer;
    mod why;
}

mod platform {
    mod entries;
    mod example;
    mod lists;
    mod members;
    mod names;
    mod openapi;
}

mod protocol {
    mod attributes;
    mod auth;
    mod bulk;
    mod discovery;
    mod documents;
    mod errors;
    mod extensions;
    mod federation;
    mod feeds;
    mod filters;
    mod interop_profile;
    mod oauth;
    mod origin_secret;
    mod paging;
    mod rate_limit;
    mod request_trail;
    mod scopes;
}

mod ranger {
    mod leavers;
    mod policies;
    mod sync;
    mod watch;
}
