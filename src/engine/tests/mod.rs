mod assembly;
mod support;
