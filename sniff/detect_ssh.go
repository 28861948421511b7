package sniff

// sshDetector recognises an SSH identification string (RFC 4253 section 4.2), which
// both sides send: "SSH-", a version such as 2.0, 1.99 or 1.5, and "-". More
// ends after 9 bytes. Text lines that a server sends before it are not skipped: its client's head tells then.
type sshDetector struct{}

func (sshDetector) Protocol() Protocol { return SSH }

func (sshDetector) Detect(head []byte) Verdict {
	v := matchPrefix(head, "SSH-")
	if v != Yes {
		return v
	}
	for i, c := range head[4:] {
		switch i {
		case 0:
			v = yesIf(isDigit(c))
		case 1:
			v = yesIf(c == '.')
		case 2:
			v = yesIf(isDigit(c))
		case 3:
			if c == '-' {
				return Yes
			}
			v = yesIf(isDigit(c))
		default:
			return yesIf(c == '-')
		}
		if v == No {
			return No
		}
	}
	return More
}
