use crate::model::Minute;
use serde::{Deserialize, Serialize};

/// A merged minute, rendered, on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parcel {
    /// Stays the same over all attempts to deliver it.
    pub id: String,
    /// The minute it is of.
    pub minute: Minute,
    /// How many spans it accounts for.
    pub spans: u64,
    /// The period files it was made of; removed before it is sent.
    pub sources: Vec<String>,
    /// What is still to be delivered.
    pub bodies: Vec<Body>,
}

/// One payload of a parcel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// What it is: `checkin` or `errors`.
    pub kind: String,
    /// How many entries it has, where the receiver wants to know.
    pub entries: u64,
    /// Its JSON text.
    pub json: String,
}

impl Parcel {
    pub(super) fn file_name(&self) -> String {
        format!("{:010}-{}.parcel", self.minute.0, self.id)
    }
}
