mod assembly;
mod golden_checkin;
mod golden_pipeline;
mod model;
mod properties;
mod support;
