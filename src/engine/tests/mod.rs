mod assembly;
mod bounds;
mod golden_checkin;
mod golden_pipeline;
mod model;
mod properties;
mod reports;
mod support;
