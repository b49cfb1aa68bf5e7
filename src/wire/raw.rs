//! One pass over a record: the fields that we know, as they stand, whatever their types. Nothing is judged here.
//!
//! What a field must be depends on `type`, and `type` may come last; so every known field is kept leniently (text
//! borrowed where it has no escapes) and everything else is skipped without being built. Of a repeated key the last
//! one counts, as in most JSON readers. `null` is the same as nothing.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A value of a known field.
#[derive(Debug, Default)]
pub(super) enum Field<'a> {
    #[default]
    Absent,
    Text(Cow<'a, str>),
    Int(i64),
    /// An integer beyond `i64`: only an id may be one.
    LargeInt(u64),
    Bool(bool),
    /// A float, a list or an object.
    Other,
}

/// A value of a field that is a list.
#[derive(Debug, Default)]
pub(super) enum List<T> {
    #[default]
    Absent,
    Items(Vec<T>),
    Other,
}

/// The known fields of a record, or of the `data` of an envelope.
#[derive(Debug, Default)]
pub(super) struct Raw<'a> {
    pub specversion: Field<'a>,
    pub data: Data<'a>,
    pub kind: Field<'a>,
    pub id: Field<'a>,
    pub time: Field<'a>,
    pub interaction: Field<'a>,
    pub agent: Field<'a>,
    pub channel: Field<'a>,
    pub queue: Field<'a>,
    pub outcome: Field<'a>,
    pub by: Field<'a>,
    pub automatic: Field<'a>,
    pub state: Field<'a>,
    pub slots: Field<'a>,
    pub busy: Field<'a>,
    pub queues: List<Place<'a>>,
    pub channels: List<Field<'a>>,
    pub errors: List<Field<'a>>,
}

/// `data` of an envelope.
#[derive(Debug, Default)]
pub(super) enum Data<'a> {
    #[default]
    Absent,
    Object(Box<Raw<'a>>),
    Other,
}

/// An entry of `queues`.
#[derive(Debug)]
pub(super) enum Place<'a> {
    Name(Field<'a>),
    Pair { queue: Field<'a>, channel: Field<'a>, busy: Field<'a>, slots: Field<'a> },
}

/// A known name of a field.
#[derive(Clone, Copy)]
enum Name {
    SpecVersion,
    Data,
    Type,
    Id,
    Time,
    Interaction,
    Agent,
    Channel,
    Queue,
    Outcome,
    By,
    Automatic,
    State,
    Slots,
    Busy,
    Queues,
    Channels,
    Errors,
    Unknown,
}

impl Name {
    fn of(text: &str) -> Name {
        match text {
            "specversion" => Name::SpecVersion,
            "data" => Name::Data,
            "type" => Name::Type,
            "id" => Name::Id,
            "time" => Name::Time,
            "interaction" => Name::Interaction,
            "agent" => Name::Agent,
            "channel" => Name::Channel,
            "queue" => Name::Queue,
            "outcome" => Name::Outcome,
            "by" => Name::By,
            "automatic" => Name::Automatic,
            "state" => Name::State,
            "slots" => Name::Slots,
            "busy" => Name::Busy,
            "queues" => Name::Queues,
            "channels" => Name::Channels,
            "errors" => Name::Errors,
            _ => Name::Unknown,
        }
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl Visitor<'_> for NameVisitor {
            type Value = Name;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a field")
            }
            fn visit_str<E>(self, text: &str) -> Result<Name, E> {
                Ok(Name::of(text))
            }
        }
        deserializer.deserialize_identifier(NameVisitor)
    }
}

/// Reads the fields of an object; the object's brace has been seen.
fn read_fields<'de, A: MapAccess<'de>>(mut map: A) -> Result<Raw<'de>, A::Error> {
    let mut raw = Raw::default();
    while let Some(name) = map.next_key::<Name>()? {
        match name {
            Name::SpecVersion => raw.specversion = map.next_value()?,
            Name::Data => raw.data = map.next_value()?,
            Name::Type => raw.kind = map.next_value()?,
            Name::Id => raw.id = map.next_value()?,
            Name::Time => raw.time = map.next_value()?,
            Name::Interaction => raw.interaction = map.next_value()?,
            Name::Agent => raw.agent = map.next_value()?,
            Name::Channel => raw.channel = map.next_value()?,
            Name::Queue => raw.queue = map.next_value()?,
            Name::Outcome => raw.outcome = map.next_value()?,
            Name::By => raw.by = map.next_value()?,
            Name::Automatic => raw.automatic = map.next_value()?,
            Name::State => raw.state = map.next_value()?,
            Name::Slots => raw.slots = map.next_value()?,
            Name::Busy => raw.busy = map.next_value()?,
            Name::Queues => raw.queues = map.next_value()?,
            Name::Channels => raw.channels = map.next_value()?,
            Name::Errors => raw.errors = map.next_value()?,
            Name::Unknown => {
                map.next_value::<IgnoredAny>()?;
            }
        }
    }
    Ok(raw)
}

fn skip_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<(), A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

fn skip_seq<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<(), A::Error> {
    while seq.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

impl<'de> Deserialize<'de> for Raw<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RawVisitor;
        impl<'de> Visitor<'de> for RawVisitor {
            type Value = Raw<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Raw<'de>, A::Error> {
                read_fields(map)
            }
        }
        deserializer.deserialize_map(RawVisitor)
    }
}

/// A visitor of values that may be anything. Those of no use are `Other`, nothing is refused; what a type does keep it
/// says in the methods that follow the list of what it does not.
macro_rules! lenient {
    ($type:ty, other: $other:expr, absent: $absent:expr, { $($kept:item)* }) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct AnyVisitor;
                impl<'de> Visitor<'de> for AnyVisitor {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("any value")
                    }
                    fn visit_unit<E>(self) -> Result<Self::Value, E> {
                        Ok($absent)
                    }
                    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                        Ok($other)
                    }
                    $($kept)*
                }
                deserializer.deserialize_any(AnyVisitor)
            }
        }
    };
}

lenient!(Field<'de>, other: Field::Other, absent: Field::Absent, {
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Field::Text(Cow::Borrowed(text)))
    }
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Field::Text(Cow::Owned(text.to_owned())))
    }
    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Field::Int(number))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(number).map_or(Field::LargeInt(number), Field::Int))
    }
    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Field::Bool(value))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        skip_seq(seq).map(|()| Field::Other)
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        skip_map(map).map(|()| Field::Other)
    }
});

/// The scalars of [`lenient`] values that keep none.
macro_rules! no_scalars {
    ($type:ty, $other:expr, { $($kept:item)* }) => {
        lenient!($type, other: $other, absent: <$type>::Absent, {
            fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
                Ok($other)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok($other)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok($other)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok($other)
            }
            $($kept)*
        });
    };
}

/// No field of ours has more entries; further ones are not built, and the field is of no use.
const LIST_ITEMS_MAX: usize = 1_000;

fn read_list<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(mut seq: A) -> Result<List<T>, A::Error> {
    let mut items = Vec::new();
    while let Some(item) = seq.next_element::<T>()? {
        if items.len() == LIST_ITEMS_MAX {
            return skip_seq(seq).map(|()| List::Other);
        }
        items.push(item);
    }
    Ok(List::Items(items))
}

no_scalars!(List<Field<'de>>, List::Other, {
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        read_list(seq)
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        skip_map(map).map(|()| List::Other)
    }
});

no_scalars!(List<Place<'de>>, List::Other, {
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        read_list(seq)
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        skip_map(map).map(|()| List::Other)
    }
});

no_scalars!(Data<'de>, Data::Other, {
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        skip_seq(seq).map(|()| Data::Other)
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        read_fields(map).map(|raw| Data::Object(Box::new(raw)))
    }
});

lenient!(Place<'de>, other: Place::Name(Field::Other), absent: Place::Name(Field::Absent), {
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Place::Name(Field::Text(Cow::Borrowed(text))))
    }
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Place::Name(Field::Text(Cow::Owned(text.to_owned()))))
    }
    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Place::Name(Field::Other))
    }
    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Place::Name(Field::Other))
    }
    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Place::Name(Field::Other))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        skip_seq(seq).map(|()| Place::Name(Field::Other))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut queue, mut channel) = (Field::Absent, Field::Absent);
        let (mut busy, mut slots) = (Field::Absent, Field::Absent);
        while let Some(name) = map.next_key::<Name>()? {
            match name {
                Name::Queue => queue = map.next_value()?,
                Name::Channel => channel = map.next_value()?,
                Name::Busy => busy = map.next_value()?,
                Name::Slots => slots = map.next_value()?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Place::Pair { queue, channel, busy, slots })
    }
});
