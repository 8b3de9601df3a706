//! The dashboard, alarms and saved queries of `template.yaml`: they use only metrics and fields that the functions print, every alarm
//! leads to its paragraph of `docs/runbook.md`, and every alarm knows what missing data means.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use functions::metrics::LINES;
use runtime::emf::{Kind, Metric, NAMESPACE, STACK};
use serde_json::{Value, json};
use tests::{template, workspace};

/// The fields of log lines that are no metrics: of CloudWatch, of the line of a request, of errors, and the properties of metrics.
const FIELDS: [&str; 12] = [
    "@timestamp",
    "@log",
    "@message",
    "id",
    "trace",
    "span.trace",
    "level",
    "error",
    "cause",
    "status",
    "function",
    "connector",
];
/// The words of the query language.
const WORDS: [&str; 25] = [
    "fields",
    "filter",
    "sort",
    "desc",
    "limit",
    "stats",
    "by",
    "as",
    "or",
    "and",
    "ispresent",
    "sum",
    "count",
    "max",
    "pct",
    "bin",
    "5m",
    "1h",
    "1d",
    "0",
    "1",
    "50",
    "95",
    "99",
    "100",
];

fn metric(name: &str) -> Metric {
    let metric = LINES.iter().flat_map(|line| line.iter()).find(|metric| metric.name == name);
    *metric.unwrap_or_else(|| panic!("the functions print no {name}"))
}

/// The properties of the resources of a type, each with its logical id.
fn properties<'t>(template: &'t Value, kind: &str) -> BTreeMap<&'t str, &'t Value> {
    template::resources(template, kind)
        .into_iter()
        .map(|(id, resource)| (id, &resource["Properties"]))
        .collect()
}

#[test]
fn every_alarm_watches_a_metric_that_the_functions_print() {
    let template = template::resolved(&[]);
    let alarms = properties(&template, "AWS::CloudWatch::Alarm");
    assert_eq!(alarms.len(), 9);
    for (id, alarm) in alarms {
        let missing = alarm["TreatMissingData"].as_str().unwrap();
        if alarm["Namespace"] == "AWS/SQS" {
            let queue =
                json!([{ "Name": "QueueName", "Value": { "Fn::GetAtt": "UndeliveredChanges.QueueName" } }]);
            assert_eq!(alarm["Dimensions"], queue);
            assert_eq!(
                (&alarm["MetricName"], missing),
                (&json!("ApproximateNumberOfMessagesVisible"), "notBreaching")
            );
            continue;
        }
        assert_eq!(alarm["Namespace"], NAMESPACE, "{id}");
        assert_eq!(
            alarm["Dimensions"],
            json!([{ "Name": STACK, "Value": { "Ref": "AWS::StackName" } }]),
            "{id}"
        );
        let metric = metric(alarm["MetricName"].as_str().unwrap());
        let statistic = alarm.get("Statistic").or(alarm.get("ExtendedStatistic")).unwrap();
        let allowed = match metric.kind {
            Kind::Counter => &["Sum"][..],
            Kind::Gauge => &["Minimum", "Maximum"],
            Kind::Milliseconds => &["p99"],
            Kind::Seconds => &["Maximum"],
            Kind::Days => &["Minimum"],
        };
        assert!(allowed.contains(&statistic.as_str().unwrap()), "{id}: {statistic}");
        // Only the sweeper prints its metric in every run. All others have no data if nothing happens.
        let expected = if metric.name == "OpenIntents" { "breaching" } else { "notBreaching" };
        assert_eq!(missing, expected, "{id}");
        let seconds = alarm["Period"].as_u64().unwrap() * alarm["EvaluationPeriods"].as_u64().unwrap();
        assert!(seconds <= 86_400, "CloudWatch allows a day at most: {id}");
    }
}

/// The anchors of the headings of a page, as MkDocs makes them.
fn anchors(page: &str, prefix: &str) -> BTreeSet<String> {
    let headings = page.lines().filter_map(|line| line.strip_prefix(prefix));
    headings.map(|heading| heading.trim().to_lowercase().replace(' ', "-")).collect()
}

#[test]
fn every_alarm_has_its_paragraph_of_the_runbook_and_every_paragraph_its_alarm() {
    let template = template::resolved(&[]);
    let linked: BTreeSet<String> = properties(&template, "AWS::CloudWatch::Alarm")
        .into_iter()
        .map(|(id, alarm)| {
            let description = alarm["AlarmDescription"].as_str().unwrap();
            let (_, anchor) = description.rsplit_once("docs/runbook.md#").unwrap_or_else(|| panic!("{id}"));
            let name = json!({ "Fn::Sub": format!("${{AWS::StackName}}-{anchor}") });
            assert_eq!(alarm["AlarmName"], name, "an alarm has the name of its paragraph");
            anchor.to_owned()
        })
        .collect();
    let runbook = fs::read_to_string(workspace().join("docs/runbook.md")).unwrap();
    let (_, alarms) = runbook.split_once("\n## Alarms\n").unwrap();
    let (alarms, _) = alarms.split_once("\n## ").unwrap();
    assert_eq!(linked, anchors(alarms, "### "));
    for paragraph in alarms.split("\n### ").skip(1) {
        for part in ["**What it means.**", "**How to look.**", "**What to do.**"] {
            assert!(paragraph.contains(part), "{part} in {paragraph}");
        }
    }
    // Every saved query that the runbook names exists.
    let queries = properties(&template, "AWS::Logs::QueryDefinition");
    let names: BTreeSet<String> = queries
        .values()
        .map(|query| query["Name"]["Fn::Sub"].as_str().unwrap().replace("${AWS::StackName}/", ""))
        .collect();
    let named: BTreeSet<String> = runbook
        .split("query *")
        .skip(1)
        .filter_map(|after| Some(after.split_once('*')?.0.to_owned()))
        .collect();
    assert_eq!(named, names);
}

#[test]
fn alarms_call_the_topic_if_there_is_one() {
    let topic = "arn:aws:sns:eu-central-1:123456789012:operators";
    let (without, with) = (template::resolved(&[]), template::resolved(&[("AlarmTopic", topic)]));
    for (id, alarm) in properties(&with, "AWS::CloudWatch::Alarm") {
        for actions in ["AlarmActions", "OKActions"] {
            assert_eq!(alarm[actions], json!([{ "Ref": "AlarmTopic" }]), "{id}");
            assert_eq!(without["Resources"][id]["Properties"].get(actions), None, "{id}");
        }
    }
    let pattern = with["Parameters"]["AlarmTopic"]["AllowedPattern"].as_str().unwrap();
    assert_eq!(pattern, "^$|^arn:[^:]+:sns:.+$");
}

#[test]
fn without_metrics_only_the_alarm_of_the_queue_is_left() {
    let off = template::resolved(&[("Metrics", "off")]);
    assert!(properties(&off, "AWS::CloudWatch::Alarm").into_keys().eq(["FailureQueueAlarm"]));
    assert_eq!(template::resources(&off, "AWS::CloudWatch::Dashboard"), []);
    let variable =
        |template: &Value| template["Globals"]["Function"]["Environment"]["Variables"]["METRICS"].clone();
    assert_eq!(variable(&off), "off");
    assert_eq!(variable(&template::resolved(&[])), json!({ "Ref": "AWS::StackName" }));
}

/// The text of a `!Sub` with values in place of its references.
fn substituted(text: &str) -> String {
    text.replace("${AWS::StackName}", "acme").replace("${AWS::Region}", "eu-central-1").replace("${!", "${")
}

#[test]
fn dashboard_shows_every_metric_and_no_other() {
    let template = template::resolved(&[]);
    let dashboard = &template["Resources"]["Dashboard"]["Properties"];
    let body = substituted(dashboard["DashboardBody"]["Fn::Sub"].as_str().unwrap());
    let body: Value = serde_json::from_str(&body).unwrap();
    let (mut shown, mut alarms) = (BTreeSet::new(), BTreeSet::new());
    for widget in body["widgets"].as_array().unwrap() {
        let properties = &widget["properties"];
        for alarm in properties["alarms"].as_array().into_iter().flatten() {
            alarms.insert(
                alarm.as_str().unwrap().trim_start_matches("${").trim_end_matches(".Arn}").to_owned(),
            );
        }
        for row in properties["metrics"].as_array().into_iter().flatten() {
            match row.as_array().unwrap().as_slice() {
                [one] => {
                    // `SEARCH('{Rollcall,stack,function} MetricName="Latency" stack="acme"', 'p99', 300)`
                    let search = one["expression"].as_str().unwrap();
                    let (schema, rest) =
                        search.strip_prefix("SEARCH('{").unwrap().split_once("} MetricName=\"").unwrap();
                    let (name, rest) = rest.split_once('"').unwrap();
                    assert!(rest.starts_with(" stack=\"acme\"', '"), "{search}");
                    let by = metric(name).by.unwrap_or_else(|| panic!("{name} has no further dimension"));
                    assert_eq!(schema, format!("{NAMESPACE},{STACK},{by}"));
                    assert_eq!(one["label"], format!("${{PROP('Dim.{by}')}}"), "{search}");
                    shown.insert(name.to_owned());
                }
                [namespace, name, dimension, value, _] if namespace == NAMESPACE => {
                    shown.insert(metric(name.as_str().unwrap()).name.to_owned());
                    assert_eq!((dimension, value), (&json!(STACK), &json!("acme")));
                }
                [namespace, ..] => assert_eq!(namespace, "AWS/SQS"),
                [] => panic!("an empty row"),
            }
        }
    }
    let printed = LINES.iter().flat_map(|line| line.iter()).map(|metric| metric.name.to_owned()).collect();
    assert_eq!(shown, printed);
    let existing = properties(&template, "AWS::CloudWatch::Alarm").into_keys().map(str::to_owned).collect();
    assert_eq!(alarms, existing);
}

/// The words of a query, without texts in quotes.
fn words(query: &str) -> Vec<String> {
    let text: String = query.split('"').step_by(2).collect::<Vec<_>>().join(" ");
    let is_part = |c: char| c.is_alphanumeric() || "@._".contains(c);
    text.split(|c: char| !is_part(c)).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[test]
fn saved_queries_use_printed_fields_in_the_logs_of_all_functions() {
    let template = template::resolved(&[]);
    let functions = template::functions(&template).into_iter();
    let groups: BTreeSet<String> =
        functions.map(|(name, _)| format!("/aws/lambda/${{AWS::StackName}}-{name}")).collect();
    let queries = properties(&template, "AWS::Logs::QueryDefinition");
    assert_eq!(queries.len(), 9);
    for (id, query) in queries {
        let listed = query["LogGroupNames"].as_array().unwrap().iter();
        let listed: BTreeSet<String> =
            listed.map(|group| group["Fn::Sub"].as_str().unwrap().to_owned()).collect();
        assert_eq!(listed, groups, "{id}");
        assert!(groups.len() <= 50, "CloudWatch reads at most 50 log groups at once");
        let words = words(query["QueryString"].as_str().unwrap());
        // `… as name` defines a name.
        let aliases: BTreeSet<&str> =
            words.windows(2).filter(|pair| pair[0] == "as").map(|pair| pair[1].as_str()).collect();
        for word in words.iter().map(String::as_str) {
            let is_known = FIELDS.contains(&word) || WORDS.contains(&word) || aliases.contains(word);
            if !is_known {
                metric(word);
            }
        }
    }
}
