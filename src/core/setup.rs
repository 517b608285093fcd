//! From settings to the parts' own configurations.

use super::{Failure, platform};
use crate::config::{Destination, Environment, Settings};
use crate::delivery::{
    Account, ClientOptions, DirectorySink, Outcome, Payload, Transport, service,
};
use crate::engine::{EngineConfig, UriReporting, check_pattern};
use crate::model::UnixNanos;
use crate::spool::{self, Place};
use crate::sql::{Dialect, Naming};
use crate::sys::{dir::Dir, host};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Everything that was decided at the start; what a child after a fork starts from.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) settings: Settings,
    pub(super) environment: Environment,
    pub(super) destination: Destination,
    pub(super) ca_pem: Option<Vec<u8>>,
    /// The revision, by the files in the application's directory.
    found_revision: Option<String>,
}

impl Setup {
    /// Reads options, beside an environment. Everything that can be wrong is found here.
    pub(super) fn read(options: &str, environment: Environment) -> Result<Arc<Setup>, Failure> {
        let settings = Settings::read(options, &environment)?;
        if !settings.flag("monitor") {
            return Err(Failure::Disabled);
        }
        let destination = Destination::of(&settings)?;
        let ca_pem = match settings.text_if_set("ca_cert") {
            Some(path) => Some(read_small(path)?),
            None => None,
        };
        let sampled = settings.rates("sample_endpoints").into_iter().map(|(entry, _)| entry);
        for (name, entries) in [
            ("ignore", settings.list("ignore")),
            ("ignore_jobs", settings.list("ignore_jobs")),
            ("sample_endpoints", sampled.collect()),
        ] {
            let bad = |why| Failure::Options(format!("{name}: {why}"));
            entries.iter().try_for_each(|entry| check_pattern(entry)).map_err(bad)?;
        }
        // Not in the working directory: it need not be the application's.
        let root = settings.text_if_set("application_root");
        let found_revision = root.and_then(|root| platform::revision_in(Path::new(root)));
        let setup = Setup { settings, environment, destination, ca_pem, found_revision };
        // Builds the client once for its verdict on proxy and certificates.
        if let Destination::Service { .. } = setup.destination {
            setup.service_transport()?;
        }
        Ok(Arc::new(setup))
    }

    pub(super) fn recorder_bytes(&self) -> usize {
        usize::try_from(self.settings.integer("recorder_memory_mib") << 20).unwrap_or(usize::MAX)
    }

    pub(super) fn place(&self) -> Place {
        spool::choose(self.settings.text_if_set("data_dir"), &self.environment)
    }

    /// The spool's directory in the data directory: one for each application, so that two never
    /// meet in one payload.
    pub(super) fn spool_dir(&self, place: &Place) -> std::io::Result<Option<Dir>> {
        match &place.found {
            Some((_, dir)) => dir.subdir("spool")?.subdir(&self.application_slug()).map(Some),
            None => Ok(None),
        }
    }

    fn application_slug(&self) -> String {
        let name = self.settings.text("name");
        let readable: String = name
            .chars()
            .take(40)
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .collect();
        let identity = [self.settings.secret("key").reveal(), "\0", name].concat();
        format!("{readable}-{:08x}", crate::spool::checksum(identity.as_bytes()))
    }

    /// Where payloads go, and a word for it.
    pub(super) fn transport(&self, place: &Place) -> Result<Box<dyn Transport>, Failure> {
        if let Destination::Service { .. } = &self.destination {
            return self.service_transport();
        }
        let limit = self.settings.integer("payload_limit_mib") << 20;
        Ok(match self.payload_directory(place) {
            Some(path) => Box::new(DirectorySink::new(path, limit)),
            None => Box::new(Nowhere),
        })
    }

    /// The directory of payload files, when that is where they go and there is one.
    pub(super) fn payload_directory(&self, place: &Place) -> Option<PathBuf> {
        match (&self.destination, &place.found) {
            (Destination::Service { .. }, _) => None,
            (Destination::Directory(path), _) => Some(path.clone()),
            (_, Some((data, _))) => Some(data.join("payloads").join(self.application_slug())),
            (_, None) => None,
        }
    }

    /// Whether deliveries cross a network, and so need a thread of their own.
    pub(super) fn is_remote(&self) -> bool {
        matches!(self.destination, Destination::Service { .. })
    }

    fn service_transport(&self) -> Result<Box<dyn Transport>, Failure> {
        let Destination::Service { checkin, errors } = &self.destination else {
            return Err(Failure::Options("the destination is not a service".into()));
        };
        let account = Account {
            checkin_url: checkin.clone(),
            errors_url: errors.clone(),
            key: self.settings.secret("key"),
            name: self.settings.text("name").to_owned(),
            hostname: self.hostname(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let to = |url| ClientOptions { proxy: self.proxy(url), ca_pem: self.ca_pem.clone() };
        service(account, &to(checkin), &to(errors)).map_err(Failure::Options)
    }

    /// The proxy on the way to a base URL. None to this machine: there is no TLS there, and a proxy
    /// would read the key.
    fn proxy(&self, url: &str) -> Option<String> {
        let is_encrypted = url.starts_with("https://");
        // The build without TLS says that it has no use for one.
        if let Some(proxy) = self.settings.text_if_set("proxy")
            && (is_encrypted || cfg!(not(feature = "tls")))
        {
            return Some(proxy.to_owned());
        }
        let either = |upper, lower| self.environment.get(upper).or(self.environment.get(lower));
        let proxy = either("HTTPS_PROXY", "https_proxy").filter(|_| is_encrypted)?;
        let host = url.split("://").nth(1)?.split(['/', ':']).next()?;
        let excepted = either("NO_PROXY", "no_proxy").unwrap_or("").split(',').any(|entry| {
            let entry = entry.trim().trim_start_matches('.');
            entry == "*"
                || (!entry.is_empty()
                    && (host == entry
                        || host.strip_suffix(entry).is_some_and(|h| h.ends_with('.'))))
        });
        (!excepted).then(|| proxy.to_owned())
    }

    pub(super) fn hostname(&self) -> String {
        let set = self.settings.text_if_set("hostname").or(self.environment.get("DYNO"));
        set.map_or_else(host::hostname, str::to_owned)
    }

    fn revision(&self) -> Option<String> {
        let set = self.settings.text_if_set("revision_sha");
        set.or_else(|| platform::revision(&self.environment)).map(str::to_owned)
    }

    /// The platform that the application runs on.
    pub(super) fn platform(&self) -> &'static str {
        platform::name(&self.environment)
    }

    /// The application's revision, as far as that was known at the start.
    pub(super) fn known_revision(&self) -> Option<String> {
        self.revision().or_else(|| self.found_revision.clone())
    }

    pub(super) fn engine_config(&self) -> EngineConfig {
        let settings = &self.settings;
        let optional = |name| settings.text_if_set(name).map(str::to_owned);
        EngineConfig {
            hostname: Some(self.hostname()),
            git_sha: self.revision(),
            found_git_sha: self.found_revision.clone(),
            application_root: optional("application_root"),
            scm_subdirectory: optional("scm_subdirectory"),
            sample_rate: settings.rate("sample_rate").unwrap_or(1.0),
            sample_endpoints: settings.rates("sample_endpoints"),
            sample_jobs: settings.rates("sample_jobs"),
            endpoint_sample_rate: settings.rate("endpoint_sample_rate"),
            job_sample_rate: settings.rate("job_sample_rate"),
            ignore_endpoints: settings.list("ignore"),
            ignore_jobs: settings.list("ignore_jobs"),
            uri_reporting: match settings.text("uri_reporting") {
                "path" => UriReporting::Path,
                "full_path" => UriReporting::FullPath,
                _ => UriReporting::FilteredParams,
            },
            filtered_params: ["uri_filtered_params", "errors_filtered_params"]
                .into_iter()
                .flat_map(|name| settings.list(name))
                .collect(),
            record_queue_time: settings.flag("record_queue_time"),
            collect_remote_ip: settings.flag("collect_remote_ip"),
            timeline_traces: settings.flag("timeline_traces"),
            errors_ignored_exceptions: settings.list("errors_ignored_exceptions"),
            dialect: Dialect::from_name(settings.text("sql_dialect")),
            sql_naming: match settings.text("sql_naming") {
                "table" => Naming::Table,
                _ => Naming::Model,
            },
            ..EngineConfig::default()
        }
    }
}

/// Payload files are wanted, and no directory can be had: every attempt fails.
struct Nowhere;

impl Transport for Nowhere {
    fn send(&mut self, _: &Payload<'_>, _: UnixNanos, _: Duration) -> Outcome {
        Outcome::Retry { after: None, why: "there is no directory for payload files".into() }
    }
}

fn read_small(path: &str) -> Result<Vec<u8>, Failure> {
    let fail = |why: String| Failure::Options(format!("ca_cert: {path}: {why}"));
    let bytes = std::fs::read(path).map_err(|error| fail(error.to_string()))?;
    if bytes.len() > 4 << 20 {
        return Err(fail("over 4 MiB".into()));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is not configured is as the engine has it by itself.
    #[test]
    fn defaults_are_the_engines_own() {
        let setup = Setup::read("", Environment::of(&[])).unwrap();
        let found = EngineConfig { hostname: None, ..setup.engine_config() };
        assert_eq!(format!("{found:#?}"), format!("{:#?}", EngineConfig::default()));
    }

    #[test]
    fn both_names_of_the_filtered_parameters_count() {
        let options = r#"{"uri_filtered_params":["a"],"errors_filtered_params":["b"]}"#;
        let setup = Setup::read(options, Environment::of(&[])).unwrap();
        assert_eq!(setup.engine_config().filtered_params, ["a", "b"]);
    }
}
