//! stub
#![allow(missing_docs)]
use crate::model::*;
use crate::record::*;
use crate::sql::{Dialect, Naming};
use serde::{Deserialize, Serialize};
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UriReporting {
    #[default]
    FilteredParams,
    Path,
    FullPath,
}
#[derive(Clone, Debug, Default)]
pub struct EngineConfig {
    pub hostname: Option<String>,
    pub git_sha: Option<String>,
    pub application_root: Option<String>,
    pub scm_subdirectory: Option<String>,
    pub sample_rate: f64,
    pub sample_endpoints: Vec<(String, f64)>,
    pub sample_jobs: Vec<(String, f64)>,
    pub endpoint_sample_rate: Option<f64>,
    pub job_sample_rate: Option<f64>,
    pub ignore_endpoints: Vec<String>,
    pub ignore_jobs: Vec<String>,
    pub uri_reporting: UriReporting,
    pub filtered_params: Vec<String>,
    pub record_queue_time: bool,
    pub collect_remote_ip: bool,
    pub timeline_traces: bool,
    pub errors_ignored_exceptions: Vec<String>,
    pub dialect: Dialect,
    pub sql_naming: Naming,
}
#[derive(Clone, Debug, Default, Serialize)]
pub struct EngineStats {
    pub spans: u64,
}
#[derive(Clone, Debug, Default, Serialize)]
pub struct OpenRequest {}
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Period {
    pub minute: Minute,
    pub n: u64,
}
impl Period {
    pub fn spans(&self) -> u64 {
        self.n
    }
    pub fn merge(&mut self, o: Period) {
        self.n += o.n
    }
    pub fn errors_kept(&self) -> u64 {
        0
    }
}
pub struct Engine {
    n: u64,
    total: u64,
}
impl Engine {
    pub fn new(_: EngineConfig, _: [u64; 2], _: UnixNanos) -> Engine {
        Engine { n: 0, total: 0 }
    }
    pub fn ingest(&mut self, r: &Record<'_>, _: &impl Names, _: UnixNanos) {
        if let Record::Span(..) = r {
            self.n += 1;
            self.total += 1;
        }
    }
    pub fn end_round(&mut self, _: UnixNanos) {}
    pub fn take_closed(&mut self, _: UnixNanos) -> Vec<Period> {
        vec![]
    }
    pub fn take_all(&mut self, now: UnixNanos) -> Vec<Period> {
        if self.n == 0 {
            return vec![];
        }
        vec![Period { minute: now.minute(), n: std::mem::take(&mut self.n) }]
    }
    pub fn close_all(&mut self, now: UnixNanos) -> Vec<Period> {
        self.take_all(now)
    }
    pub fn stats(&self) -> EngineStats {
        EngineStats { spans: self.total }
    }
    pub fn open_requests(&self, _: UnixNanos) -> Vec<OpenRequest> {
        vec![]
    }
}
