//! The two real carriers behind one face.

use super::lane::{Carrier, Failure, Sending};
use super::parcel::Parcel;
use super::smtp::Smtp;
use super::webhook::Webhooks;
use super::{NotifyError, Settings};
use crate::notice::Body;

pub struct Carriers {
    smtp: Option<Smtp>,
    pub webhooks: Webhooks,
}

impl Carriers {
    pub fn new(settings: &Settings) -> Result<Self, NotifyError> {
        let smtp = settings.smtp.as_ref().map(|smtp| Smtp::new(smtp, settings.timing.step)).transpose()?;
        Ok(Carriers { smtp, webhooks: Webhooks::new(&settings.webhooks, settings.timing.step)? })
    }
}

impl Carrier for Carriers {
    fn send<'a>(&'a self, parcel: &'a Parcel, late: bool) -> Sending<'a> {
        Box::pin(async move {
            match &parcel.message.body {
                Body::Email(_) => match &self.smtp {
                    Some(smtp) => {
                        let mail = parcel.mail(late).map_err(|why| Failure::never(&why))?;
                        smtp.send(&mail.from, &mail.to, &mail.bytes).await
                    }
                    None => Err(Failure::never("there is no mail server; set `smtp` in the configuration")),
                },
                Body::Webhook(hook) => {
                    let body = if late { &hook.late_json } else { &hook.json };
                    self.webhooks.send(&hook.name, &parcel.message.id, body).await
                }
            }
        })
    }

    fn server(&self, parcel: &Parcel) -> String {
        match (&parcel.message.body, &self.smtp) {
            (Body::Email(_), Some(smtp)) => smtp.name().to_owned(),
            (Body::Email(_), None) => "smtp".to_owned(),
            (Body::Webhook(hook), _) => format!("webhook {}", hook.name),
        }
    }
}
