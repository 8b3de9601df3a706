//! The trace that a request belongs to: the id by which its log lines are found together with those of other programs.
//!
//! A client can choose it, so only the exact forms of X-Ray and of the W3C are accepted.

use std::fmt;

/// The id of a trace: `1-5759e988-bd862e3fe1be46a994272793` of AWS X-Ray, or 32 hexadecimal digits of the W3C.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceId(String);

impl TraceId {
    /// Reads the trace from the header of X-Ray: `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`.
    pub fn from_xray(header: &str) -> Option<Self> {
        let root = header.split(';').find_map(|field| field.trim().strip_prefix("Root="))?;
        let mut parts = root.split('-');
        let [version, time, random] = [parts.next()?, parts.next()?, parts.next()?];
        let is_valid = version == "1" && is_hex(time, 8) && is_hex(random, 24) && parts.next().is_none();
        is_valid.then(|| Self(root.to_owned()))
    }

    /// Reads the trace from the header `traceparent`: `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`.
    pub fn from_traceparent(header: &str) -> Option<Self> {
        // W3C Trace Context §3.2.2: a later version can have more fields. An id of zeros only is invalid.
        let mut parts = header.trim().split('-');
        let [version, trace, parent, flags] = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
        let is_end = parts.next().is_none() || version != "00";
        let is_valid = is_hex(version, 2) && version != "ff" && is_hex(trace, 32) && is_hex(parent, 16);
        let is_set = trace.contains(|c| c != '0') && parent.contains(|c| c != '0');
        (is_valid && is_hex(flags, 2) && is_set && is_end).then(|| Self(trace.to_owned()))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a text has this number of hexadecimal digits, in lower case.
fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const XRAY: &str = "1-5759e988-bd862e3fe1be46a994272793";
    const W3C: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn trace_of_xray_is_its_root() {
        for (header, expected) in [
            (format!("Root={XRAY};Parent=53995c3f42cd8ad8;Sampled=1"), Some(XRAY)),
            (format!("Self=1-1-1; Root={XRAY}"), Some(XRAY)),
            (format!("Root={XRAY}-1"), None),
            (format!("Root={}", XRAY.to_uppercase()), None),
            (format!("Root=2{}", &XRAY[1..]), None),
            (format!("Root={XRAY}0"), None),
            (format!("Root={}\"", &XRAY[..34]), None),
            (format!("Parent={XRAY}"), None),
            ("Root=".to_owned(), None),
            (String::new(), None),
        ] {
            let found = TraceId::from_xray(&header).map(|trace| trace.to_string());
            assert_eq!(found.as_deref(), expected, "{header}");
        }
    }

    #[test]
    fn trace_of_the_w3c_is_its_second_field() {
        for (header, expected) in [
            (format!("00-{W3C}-00f067aa0ba902b7-01"), Some(W3C)),
            (format!(" 00-{W3C}-00f067aa0ba902b7-00 "), Some(W3C)),
            (format!("01-{W3C}-00f067aa0ba902b7-01-more"), Some(W3C)),
            (format!("00-{W3C}-00f067aa0ba902b7-01-more"), None),
            (format!("ff-{W3C}-00f067aa0ba902b7-01"), None),
            (format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)), None),
            (format!("00-{W3C}-0000000000000000-01"), None),
            (format!("00-{}-00f067aa0ba902b7-01", W3C.to_uppercase()), None),
            (format!("00-{W3C}1-00f067aa0ba902b7-01"), None),
            (format!("00-{W3C}-00f067aa0ba902b7"), None),
            (format!("00-{}\n-00f067aa0ba902b7-01", &W3C[..31]), None),
            (String::new(), None),
        ] {
            let found = TraceId::from_traceparent(&header).map(|trace| trace.to_string());
            assert_eq!(found.as_deref(), expected, "{header}");
        }
    }
}
