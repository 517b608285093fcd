use super::config::EngineConfig;
use super::hash::KeyedHash;
use crate::model::TraceId;
use regex_lite::Regex;

/// Which requests are left out, by name and by chance.
#[derive(Debug)]
pub(crate) struct Rules {
    hash: KeyedHash,
    rate: f64,
    endpoint_rate: Option<f64>,
    job_rate: Option<f64>,
    endpoints: Vec<(Pattern, f64)>,
    jobs: Vec<(String, f64)>,
    ignored_endpoints: Vec<Pattern>,
    ignored_jobs: Vec<Pattern>,
    keeps_all: bool,
}

/// What the rules say of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Keep,
    Ignore,
    SampleOut,
}

/// A request as the rules see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    pub is_job: bool,
    /// The name without its type.
    pub name: &'a str,
    pub path: &'a str,
    pub trace_id: TraceId,
}

impl Rules {
    pub(crate) fn new(config: &EngineConfig, hash: KeyedHash) -> Self {
        // A bad one was refused when the settings were read.
        let patterns =
            |list: &[String]| list.iter().filter_map(|text| Pattern::new(text).ok()).collect();
        let rules = Rules {
            hash,
            rate: fraction(config.sample_rate),
            endpoint_rate: config.endpoint_sample_rate.map(fraction),
            job_rate: config.job_sample_rate.map(fraction),
            endpoints: config
                .sample_endpoints
                .iter()
                .filter_map(|(text, rate)| Some((Pattern::new(text).ok()?, fraction(*rate))))
                .collect(),
            jobs: config
                .sample_jobs
                .iter()
                .map(|(name, rate)| (name.clone(), fraction(*rate)))
                .collect(),
            ignored_endpoints: patterns(&config.ignore_endpoints),
            ignored_jobs: patterns(&config.ignore_jobs),
            keeps_all: false,
        };
        let keeps_all = rules.rate >= 1.0
            && rules.endpoint_rate.is_none()
            && rules.job_rate.is_none()
            && rules.endpoints.is_empty()
            && rules.jobs.is_empty()
            && rules.ignored_endpoints.is_empty()
            && rules.ignored_jobs.is_empty();
        Rules { keeps_all, ..rules }
    }

    /// A rate for this very name decides first; then the ignore lists; then the general rates.
    pub(crate) fn judge(&self, candidate: Candidate<'_>) -> Verdict {
        if self.keeps_all {
            return Verdict::Keep;
        }
        let Candidate { is_job, name, path, trace_id } = candidate;
        let fits = |pattern: &Pattern| pattern.fits(path) || pattern.fits(name);
        let (own, ignored, general) = if is_job {
            (
                self.jobs.iter().find(|(job, _)| job == name).map(|(_, rate)| *rate),
                self.ignored_jobs.iter().any(|pattern| pattern.is(name)),
                self.job_rate,
            )
        } else {
            (
                self.endpoints.iter().find(|(pattern, _)| fits(pattern)).map(|(_, rate)| *rate),
                self.ignored_endpoints.iter().any(fits),
                self.endpoint_rate,
            )
        };
        if own.is_none() && ignored {
            return Verdict::Ignore;
        }
        let rate = own.or(general).unwrap_or(self.rate);
        if self.chance(trace_id) < rate { Verdict::Keep } else { Verdict::SampleOut }
    }

    /// The request's number below 1: by its id, so that nothing depends on the order of requests.
    fn chance(&self, trace_id: TraceId) -> f64 {
        (self.hash.bytes(&trace_id.0) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// A sampling rate as it is written in a configuration: `0.5`, `50`; above 1 it means percent.
///
/// `None` for no text; text that is no number is 0, as the Ruby agent has it.
pub fn parse_sample_rate(text: &str) -> Option<f64> {
    let text = text.trim();
    (!text.is_empty()).then(|| fraction(text.parse().unwrap_or(0.0)))
}

/// A sampling rule as it is written in a configuration: a name or prefix, a colon, a rate.
pub fn parse_sample_rule(text: &str) -> Option<(String, f64)> {
    let (name, rate) = text.trim().rsplit_once(':')?;
    let name = name.trim();
    (!name.is_empty()).then_some((name.to_owned(), parse_sample_rate(rate)?))
}

/// A rate as it is written: up to 1 a fraction, above that percent.
pub(crate) fn fraction(rate: f64) -> f64 {
    if rate.is_nan() {
        return 0.0;
    }
    let rate = if rate > 1.0 { rate / 100.0 } else { rate };
    rate.clamp(0.0, 1.0)
}

/// An entry of a list of names or paths: a prefix, in which `*` stands for any text, or a regular
/// expression that must fit from the start. A slash at a prefix's start is not needed.
#[derive(Clone, Debug)]
enum Pattern {
    Prefix(Vec<String>),
    /// From the start on; and to the end.
    Regex {
        start: Regex,
        whole: Regex,
    },
}

/// What only regular expressions hold. A dot, a question mark and a plus are in paths too.
const REGEX_SIGNS: &[&str] = &["\\", "(", "[", "|", "^", "$", "{", ".*", ".+"];

impl Pattern {
    fn new(text: &str) -> Result<Self, String> {
        if !REGEX_SIGNS.iter().any(|sign| text.contains(sign)) {
            let text = text.trim_start_matches('/');
            return Ok(Pattern::Prefix(text.split('*').map(str::to_owned).collect()));
        }
        // Linear in the text, whatever the expression; its size is bounded by the crate.
        let regex = |pattern: String| {
            Regex::new(&pattern)
                .map_err(|error| format!("{text:?} is no regular expression: {error}"))
        };
        let (start, whole) = (regex(format!("^(?:{text})"))?, regex(format!("^(?:{text})$"))?);
        Ok(Pattern::Regex { start, whole })
    }

    /// Whether `text` begins so.
    fn fits(&self, text: &str) -> bool {
        match self {
            Pattern::Prefix(parts) => after_prefix(parts, text).is_some(),
            Pattern::Regex { start, .. } => start.is_match(text),
        }
    }

    /// Whether `text` is so from start to end.
    fn is(&self, text: &str) -> bool {
        match self {
            Pattern::Prefix(parts) => after_prefix(parts, text).is_some_and(|rest| {
                rest.is_empty() || parts.len() > 1 && parts.last().is_some_and(String::is_empty)
            }),
            // Not where the first match ends: an alternative that comes first may be shorter.
            Pattern::Regex { whole, .. } => whole.is_match(text),
        }
    }
}

fn after_prefix<'a>(parts: &[String], text: &'a str) -> Option<&'a str> {
    let (first, others) = parts.split_first()?;
    // An entry that is empty would leave out everything.
    if first.is_empty() && others.is_empty() {
        return None;
    }
    let mut rest = text.trim_start_matches('/').strip_prefix(first.as_str())?;
    for part in others {
        let at = rest.find(part.as_str())?;
        rest = rest.get(at + part.len()..)?;
    }
    Some(rest)
}

/// What is wrong with an entry of the ignore and sampling lists.
///
/// # Errors
/// It looks like a regular expression, and is none.
pub fn check_pattern(text: &str) -> Result<(), String> {
    Pattern::new(text).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(change: impl FnOnce(&mut EngineConfig)) -> Rules {
        let mut config = EngineConfig::default();
        change(&mut config);
        Rules::new(&config, KeyedHash::new([8, 9]))
    }

    fn web(name: &str, path: &str, n: u8) -> Verdict2 {
        Verdict2(name.into(), path.into(), n)
    }
    struct Verdict2(String, String, u8);
    impl Verdict2 {
        fn by(&self, rules: &Rules) -> Verdict {
            rules.judge(Candidate {
                is_job: false,
                name: &self.0,
                path: &self.1,
                trace_id: TraceId([self.2; 16]),
            })
        }
    }

    #[test]
    fn ignores_by_prefix_of_path_or_name() {
        let rules = rules(|config| {
            config.ignore_endpoints = vec!["/health".into(), "/a/*/x".into(), String::new()];
            config.sample_endpoints = vec![("/health/deep".into(), 1.0)];
        });
        assert_eq!(web("h", "/health", 1).by(&rules), Verdict::Ignore);
        assert_eq!(web("h", "/healthz?q=1", 1).by(&rules), Verdict::Ignore);
        assert_eq!(web("health/show", "", 1).by(&rules), Verdict::Ignore);
        assert_eq!(web("h", "/a/7/x/y", 1).by(&rules), Verdict::Ignore);
        assert_eq!(web("h", "/health/deep", 1).by(&rules), Verdict::Keep);
        assert_eq!(web("h", "/a/health", 1).by(&rules), Verdict::Keep);
    }

    #[test]
    fn ignores_by_regular_expression() {
        let rules = rules(|config| {
            config.ignore_endpoints =
                vec![r"/(status|health)/\d+$".into(), "/admin/.*/edit".into(), "/v1.0/".into()];
            config.ignore_jobs = vec!["^Sync[A-Z].*Job".into()];
        });
        assert_eq!(web("h", "/status/12", 1).by(&rules), Verdict::Ignore);
        assert_eq!(web("h", "/status/12/more", 1).by(&rules), Verdict::Keep);
        assert_eq!(web("h", "/not/status/12", 1).by(&rules), Verdict::Keep);
        assert_eq!(web("h", "/admin/users/edit", 1).by(&rules), Verdict::Ignore);
        assert_eq!(web("h", "/v1.0/x", 1).by(&rules), Verdict::Ignore);
        assert_eq!(web("h", "/v1x0/x", 1).by(&rules), Verdict::Keep);
        let job = |name| {
            rules.judge(Candidate { is_job: true, name, path: "", trace_id: TraceId([1; 16]) })
        };
        assert_eq!(job("SyncUsersJob"), Verdict::Ignore);
        assert_eq!(job("SyncUsersJobber"), Verdict::Keep);
        // The alternative that fits first is not the one that fits to the end.
        let pattern = Pattern::new("(Mail|MailerJob)").unwrap();
        assert!(pattern.is("MailerJob") && pattern.is("Mail") && !pattern.is("MailerJobs"));
        assert!(check_pattern("/a(b").unwrap_err().contains("no regular expression"));
        assert!(check_pattern("/a?b+c").is_ok());
        // What blows up others' engines is linear here.
        let pattern = Pattern::new("(a*)*b").unwrap();
        assert!(!pattern.fits(&"a".repeat(10_000)));
    }

    #[test]
    fn sampling_keeps_about_its_share() {
        let rules = rules(|config| {
            config.sample_rate = 25.0;
            config.sample_jobs = vec![("Mailer".into(), 0.0)];
            config.ignore_jobs = vec!["Noise".into()];
        });
        let job = |name, n: u32| {
            let mut id = [7; 16];
            id[..4].copy_from_slice(&n.to_le_bytes());
            rules.judge(Candidate { is_job: true, name, path: "", trace_id: TraceId(id) })
        };
        let kept = (0..4000).filter(|n| job("Other", *n) == Verdict::Keep).count();
        assert!((900..1100).contains(&kept), "{kept} of 4000");
        assert!((0..1000).all(|n| job("Mailer", n) == Verdict::SampleOut));
        assert_eq!(job("Noise", 1), Verdict::Ignore);
        assert_ne!(job("Noisemaker", 1), Verdict::Ignore);
    }
}
