use super::Item;
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
    pub(super) fn of<T: Item>(
        period: &T,
        id: String,
        sources: Vec<String>,
        render: impl FnOnce(&T, &str) -> Vec<Body>,
    ) -> Parcel {
        let bodies = render(period, &id);
        Parcel { id, minute: period.minute(), spans: period.spans(), sources, bodies }
    }

    /// The id of a parcel that is made of one file alone: sixteen letters, the same always.
    pub(super) fn id_of_file(name: &str) -> String {
        // FNV-1a: names are as good as random, they hold their writer's signature.
        let hash = |seed: u64| {
            name.bytes().fold(seed, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            })
        };
        let letters = |mut of: u64| {
            std::array::from_fn::<u8, 8, _>(|_| {
                let letter = b'a' + (of % 26) as u8;
                of /= 26;
                letter
            })
        };
        let (one, two) = (hash(0xcbf2_9ce4_8422_2325), hash(0x9ae1_6a3b_2f90_404f));
        letters(one).into_iter().chain(letters(two)).map(char::from).collect()
    }

    /// The name of its file, and its own where it has none.
    pub fn file_name(&self) -> String {
        format!("{:010}-{}-{}.parcel", self.minute.0, self.id, self.spans)
    }
}
