package sniff

import "bytes"

// maxReply is how much of an SMTP or FTP greeting is read. RFC 5321 section 4.5.3.1.5 allows
// lines of 512 bytes; some servers greet with a page of terms.
const maxReply = 4 << 10

// smtpDetector recognises an SMTP greeting (RFC 5321 section 4.2): a 220 reply that
// has SMTP, ESMTP or the like in its text. A greeting that does not say so is not
// recognised, for FTP greets alike. More ends after 4 KiB.
type smtpDetector struct{}

func (smtpDetector) Protocol() Protocol { return SMTP }

func (smtpDetector) Detect(head []byte) Verdict { return detectGreeting(head, SMTP) }

// ftpDetector recognises an FTP greeting (RFC 959 section 5.4): a 220 reply that has
// FTP or FileZilla in its text, and no SMTP before. More ends after 4 KiB.
type ftpDetector struct{}

func (ftpDetector) Protocol() Protocol { return FTP }

func (ftpDetector) Detect(head []byte) Verdict { return detectGreeting(head, FTP) }

// detectGreeting says whether head is a 220 reply that names want. The first line to name a protocol decides.
func detectGreeting(head []byte, want Protocol) Verdict {
	if v := matchPrefix(head, "220"); v != Yes {
		return v
	}
	if len(head) > 3 && head[3] != ' ' && head[3] != '-' {
		return No
	}
	rest := head[:min(len(head), maxReply)]
	for {
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			return moreIf(len(head) < maxReply)
		}
		line := rest[:end]
		rest = rest[end+1:]
		if p := protocolNamed(line); p != Unknown {
			return yesIf(p == want)
		}
		if bytes.HasPrefix(line, []byte("220 ")) { // the reply's last line, RFC 5321 section 4.2.1
			return No
		}
	}
}

// protocolNamed looks for the words of SMTP and FTP in a line, but not in names of
// hosts: ftp.example.com may well run SMTP.
func protocolNamed(line []byte) Protocol {
	found := Unknown
	for len(line) > 0 {
		n := 0
		host := false
		for n < len(line) && (isAlnum(line[n]) || line[n] == '-' || line[n] == '.') {
			host = host || line[n] == '.' && n+1 < len(line) && isAlnum(line[n+1])
			n++
		}
		switch word := line[:n]; {
		case host:
		case containsFold(word, "SMTP"):
			return SMTP
		case containsFold(word, "FTP"), containsFold(word, "FILEZILLA"):
			found = FTP
		}
		line = line[min(n+1, len(line)):]
	}
	return found
}

// smtpClientDetector recognises what an SMTP client says first: HELO, EHLO or LHLO (RFC 5321
// section 4.1.1.1, RFC 2033) and at most one argument, in a line of up to 512 bytes, where More ends.
type smtpClientDetector struct{}

func (smtpClientDetector) Protocol() Protocol { return SMTP }

func (smtpClientDetector) Detect(head []byte) Verdict {
	const maxLine = 512
	v := max(matchPrefixFold(head, "EHLO"), matchPrefixFold(head, "HELO"), matchPrefixFold(head, "LHLO"))
	if v != Yes {
		return v
	}
	rest := head[4:min(len(head), maxLine)]
	end := bytes.IndexByte(rest, '\n')
	if end >= 0 {
		rest = rest[:end]
	}
	rest = trimCR(rest)
	if len(rest) > 0 && rest[0] != ' ' || hasControl(rest) ||
		bytes.IndexByte(bytes.Trim(rest, " "), ' ') >= 0 {
		return No
	}
	if end >= 0 {
		return Yes
	}
	return moreIf(len(head) < maxLine)
}

// imapDetector recognises an IMAP greeting (RFC 9051 section 7.1): "* OK", "* PREAUTH" or "* BYE". More ends after 10 bytes.
type imapDetector struct{}

func (imapDetector) Protocol() Protocol { return IMAP }

func (imapDetector) Detect(head []byte) Verdict {
	return max(matchWord(head, "* OK"), matchWord(head, "* PREAUTH"), matchWord(head, "* BYE"))
}

// pop3Detector recognises a POP3 greeting (RFC 1939 section 4): "+OK". More ends after 4 bytes.
type pop3Detector struct{}

func (pop3Detector) Protocol() Protocol { return POP3 }

func (pop3Detector) Detect(head []byte) Verdict { return matchWord(head, "+OK") }

// matchWord says whether head begins with want, in either case, and a space or the line's end.
func matchWord(head []byte, want string) Verdict {
	v := matchPrefixFold(head, want)
	if v != Yes {
		return v
	}
	if len(head) == len(want) {
		return More
	}
	c := head[len(want)]
	return yesIf(c == ' ' || c == '\r' || c == '\n')
}

// vncDetector recognises the ProtocolVersion message of RFC 6143 section 7.1.1, all 12 bytes of it.
type vncDetector struct{}

func (vncDetector) Protocol() Protocol { return VNC }

func (vncDetector) Detect(head []byte) Verdict {
	const shape = "RFB ddd.ddd\n"
	for i, c := range head[:min(len(head), len(shape))] {
		if shape[i] != c && !(shape[i] == 'd' && isDigit(c)) {
			return No
		}
	}
	if len(head) < len(shape) {
		return More
	}
	return Yes
}
