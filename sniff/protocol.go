package sniff

// A Protocol names what is being spoken on a connection. The names are those
// of the ALPN registry where it has one ("h2"), else the field's own in lower
// case; they are what records carry. The zero value is Unknown. A Protocol of
// one's own is any other string.
type Protocol string

// The protocols that this package's detectors and codecs tell apart.
const (
	Unknown   Protocol = ""          // nothing recognised, or nothing yet
	HTTP1     Protocol = "http"      // HTTP/1.0 and HTTP/1.1, RFC 9112
	HTTP2     Protocol = "h2"        // HTTP/2, RFC 9113; in clear: with prior knowledge
	TLS       Protocol = "tls"       // TLS and SSL 3.0, RFC 8446 and before; not SSL 2.0
	WebSocket Protocol = "websocket" // RFC 6455; never detected: HTTP/1 upgrades to it
	DNS       Protocol = "dns"       // RFC 1035
	QUIC      Protocol = "quic"      // RFC 9000
	SSH       Protocol = "ssh"       // RFC 4253
	SMTP      Protocol = "smtp"      // RFC 5321
	IMAP      Protocol = "imap"      // RFC 9051
	POP3      Protocol = "pop3"      // RFC 1939
	FTP       Protocol = "ftp"       // RFC 959
	MySQL     Protocol = "mysql"     // MySQL and MariaDB, protocol version 10
	VNC       Protocol = "vnc"       // the Remote Framebuffer Protocol, RFC 6143
)
