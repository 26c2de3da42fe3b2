//! The commands that go before a text.

use super::{
    Parcel,
    answer::Answer,
    fault::{Failed, Fault, Step},
    offers::Offers,
    text::Text,
};
use crate::domain::{DeliveryId, EmailAddress};
use std::fmt::Write as _;

/// Who a parcel comes from and goes to, and what its parameters say of its text.
#[derive(Clone)]
pub(super) struct Envelope {
    from: EmailAddress,
    to: EmailAddress,
    delivery: Option<DeliveryId>,
    octets: usize,
    eight_bit: bool,
}

/// The two commands, each with its line's end.
pub(super) struct Commands {
    pub(super) mail: String,
    pub(super) rcpt: String,
}

pub(super) const DATA: &str = "DATA\r\n";
pub(super) const RSET: &str = "RSET\r\n";

impl Envelope {
    pub(super) fn of(parcel: &Parcel, text: &Text<'_>) -> Self {
        Self {
            from: parcel.envelope_from.clone(),
            to: parcel.to.clone(),
            delivery: parcel.delivery,
            octets: text.octets,
            eight_bit: text.eight_bit,
        }
    }

    /// What is said to this server; a fault where it cannot take such a parcel.
    pub(super) fn commands(&self, offers: &Offers) -> Result<Commands, Failed> {
        let mut mail = format!("MAIL FROM:<{}>", self.from);
        let mut rcpt = format!("RCPT TO:<{}>", self.to);
        if let Some(limit) = offers.size {
            if limit.is_some_and(|limit| self.octets > limit) {
                let words = "5.3.4 the message is larger than the mail server takes";
                return Err((Step::Mail, Fault::Said(Answer::ours(552, words))));
            }
            let _ = write!(mail, " SIZE={}", self.octets);
        }
        if self.eight_bit {
            if !offers.eight_bit {
                let words = "the message holds letters beyond ASCII and the mail server takes none";
                return Err((Step::Connect, Fault::Unmet(words.into())));
            }
            mail.push_str(" BODY=8BITMIME");
        }
        if !self.to.local().is_ascii() || !self.from.local().is_ascii() {
            if !offers.utf8 {
                // RFC 6531 §3.5 gives 553 for it. Were our own address the reason, every reader
                // would bounce.
                let code = if self.from.local().is_ascii() { 553 } else { 451 };
                let status = if code == 553 { "5.6.7" } else { "4.6.7" };
                let words = format!("{status} the mail server takes no address with letters beyond ASCII");
                return Err((Step::Rcpt, Fault::Said(Answer::ours(code, &words))));
            }
            mail.push_str(" SMTPUTF8");
        }
        if offers.dsn {
            // A report names the letter by its envelope id, so nobody need send it back whole.
            mail.push_str(" RET=HDRS");
            if let Some(delivery) = self.delivery {
                let _ = write!(mail, " ENVID={delivery}");
            }
            rcpt.push_str(" NOTIFY=FAILURE,DELAY");
            // One beyond ASCII would be of type utf-8 (RFC 6533 §3).
            if self.to.local().is_ascii() {
                let _ = write!(rcpt, " ORCPT=rfc822;{}", xtext(&self.to.to_string()));
            }
        }
        mail.push_str("\r\n");
        rcpt.push_str("\r\n");
        Ok(Commands { mail, rcpt })
    }
}

impl Commands {
    /// All that goes before the text, as one group (RFC 2920 §3.1).
    pub(super) fn group(&self, resets: bool) -> Vec<u8> {
        [if resets { RSET } else { "" }, &self.mail, &self.rcpt, DATA].concat().into_bytes()
    }
}

/// RFC 3461 §4: `+`, `=` and what is no printing ASCII, as `+` and two digits.
fn xtext(text: &str) -> String {
    let mut coded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'+' | b'=') {
            coded.push(char::from(byte));
        } else {
            let _ = write!(coded, "+{byte:02X}");
        }
    }
    coded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(to: &str) -> Envelope {
        Envelope {
            from: "tin+1@bao.vn".parse().unwrap(),
            to: to.parse().unwrap(),
            delivery: Some(DeliveryId(7)),
            octets: 100,
            eight_bit: false,
        }
    }

    fn said(to: &str, offers: &Offers) -> [String; 2] {
        let commands = envelope(to).commands(offers).unwrap();
        [commands.mail, commands.rcpt]
    }

    #[test]
    fn parameters_are_given_where_they_are_taken() {
        let bare = Offers::default();
        assert_eq!(said("an@doc.vn", &bare), ["MAIL FROM:<tin+1@bao.vn>\r\n", "RCPT TO:<an@doc.vn>\r\n"]);
        let sized = Offers { size: Some(Some(100)), ..Offers::default() };
        assert_eq!(said("an@doc.vn", &sized)[0], "MAIL FROM:<tin+1@bao.vn> SIZE=100\r\n");
        let all = Offers { size: Some(None), dsn: true, utf8: true, eight_bit: true, ..Offers::default() };
        assert_eq!(
            said("an+tin=x@doc.vn", &all),
            [
                "MAIL FROM:<tin+1@bao.vn> SIZE=100 RET=HDRS ENVID=7\r\n",
                "RCPT TO:<an+tin=x@doc.vn> NOTIFY=FAILURE,DELAY ORCPT=rfc822;an+2Btin+3Dx@doc.vn\r\n"
            ]
        );
        assert_eq!(said("đảng@doc.vn", &all)[1], "RCPT TO:<đảng@doc.vn> NOTIFY=FAILURE,DELAY\r\n");
        assert!(said("đảng@doc.vn", &all)[0].contains(" SMTPUTF8"));
    }

    #[test]
    fn what_a_server_cannot_take_is_not_offered_to_it() {
        let small = Offers { size: Some(Some(99)), ..Offers::default() };
        let failed = |to: &str, offers| envelope(to).commands(offers).err().unwrap();
        let (step, fault) = failed("an@doc.vn", &small);
        assert_eq!(fault.told(step).status, "5.3.4".parse().ok());
        let (step, fault) = failed("đảng@doc.vn", &Offers::default());
        assert_eq!(fault.told(step).status, "5.6.7".parse().ok());
    }
}
