use crate::engine::Period;

/// What a payload says about its sender.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// The application's name: in a service's URL it is known, in a file it would be lost.
    pub app_name: String,
    /// The application's directory.
    pub app_root: String,
    /// Sixteen random letters: the same for each attempt to deliver one payload, so that a
    /// receiver can tell a repetition.
    pub unique_id: String,
    /// The core's version.
    pub agent_version: String,
    /// The process that reports.
    pub agent_pid: u32,
    /// The application's language; `scoutcore` if neither this nor the application says.
    pub platform: Option<String>,
    /// The machine's name.
    pub hostname: String,
    /// The application's revision, if it is known without the application.
    pub git_sha: String,
    /// The platform: `Heroku`, `Cloud Foundry`, `Server`.
    pub paas: String,
    /// The deployment environment, for errors.
    pub environment: Option<String>,
}

impl Metadata {
    /// The language of the application behind a period.
    pub(super) fn platform_of<'a>(&'a self, period: &'a Period) -> &'a str {
        self.platform
            .as_deref()
            .or_else(|| period.application.as_ref()?.text("language"))
            .unwrap_or("scoutcore")
    }

    /// The application's directory, as configured or else as it said.
    pub(super) fn root_of<'a>(&'a self, period: &'a Period) -> &'a str {
        if !self.app_root.is_empty() {
            return &self.app_root;
        }
        let said = period.application.as_ref().and_then(|said| said.text("application_root"));
        said.unwrap_or_default()
    }

    /// The deployment environment, likewise.
    pub(super) fn environment_of<'a>(&'a self, period: &'a Period) -> Option<&'a str> {
        self.environment.as_deref().or_else(|| period.application.as_ref()?.text("environment"))
    }
}
