package sniff

// A Verdict is a [Detector]'s answer. The zero value is No.
type Verdict uint8

const (
	No   Verdict = iota // it is not this protocol, whatever follows: final
	More                // too little has been seen to tell
	Yes                 // it is this protocol, whatever follows: final
)

// String returns "no", "more" or "yes".
func (v Verdict) String() string {
	switch v {
	case No:
		return "no"
	case More:
		return "more"
	case Yes:
		return "yes"
	}
	return "invalid"
}

// A Detector recognises one protocol by the first bytes that one side sends.
//
// Detect is given the head of a stream: its first bytes, as many as are there.
// It is a pure function of them. Who writes one keeps to this:
//
//   - A final verdict never flips: when Detect(head) is No or Yes, then so is
//     Detect of every longer head that begins with head.
//   - A nil or empty head is More.
//   - More ends: there is a stated number of bytes from which on the verdict is
//     final. What cannot become the protocol any more is No at once, since a
//     head may be held back while a detector says More.
//   - head is neither kept nor altered, and nothing is allocated.
//   - Both methods may be called from several goroutines at once.
type Detector interface {
	// Protocol is what a Yes means. It is never Unknown, and always the same.
	Protocol() Protocol
	// Detect says whether a stream that begins with head speaks Protocol.
	Detect(head []byte) Verdict
}

// Detectors returns the detectors of what a client may say first: TLS, HTTP/1,
// HTTP/2 with prior knowledge, SSH, and SMTP (for a server whose greeting
// did not tell). The slice is a fresh one, so it may be added to or cut. The longest
// More among them is HTTP/1's, 8 KiB.
func Detectors() []Detector {
	return []Detector{tlsDetector{}, http2Detector{}, sshDetector{}, http1Detector{}, smtpClientDetector{}}
}

// BannerDetectors returns the detectors of what a server says that speaks before
// its client does: SSH, SMTP, FTP, IMAP, POP3, MySQL and VNC. They are meant for
// nothing else: an answer to a client may look like a greeting (Redis and POP3
// both say +OK). The slice is a fresh one. The longest More among them is SMTP's
// and FTP's, 4 KiB.
func BannerDetectors() []Detector {
	return []Detector{
		sshDetector{}, smtpDetector{}, ftpDetector{}, imapDetector{},
		pop3Detector{}, mysqlDetector{}, vncDetector{},
	}
}

// Detect asks ds, in order, about head. The first detector that says Yes wins, once all
// before it have said No. It returns
//
//   - a protocol and Yes when that is decided,
//   - Unknown and More while some detector may still say Yes,
//   - Unknown and No when all have said No, or ds is empty.
//
// Like a detector's, a final verdict never flips with a longer head. Detect
// allocates nothing.
func Detect(ds []Detector, head []byte) (Protocol, Verdict) {
	for _, d := range ds {
		switch d.Detect(head) {
		case Yes:
			return d.Protocol(), Yes
		case More:
			return Unknown, More
		}
	}
	return Unknown, No
}
