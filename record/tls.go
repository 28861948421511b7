package record

// TLS is the section of a TLS connection. When the connection was opened, it
// describes the leg to the origin. It is built once per connection and shared
// by all its records.
type TLS struct {
	ServerName        string // "serverName": the client's SNI (RFC 6066); empty when it sent none
	CipherSuite       string // "cipherSuite": IANA name, such as "TLS_AES_128_GCM_SHA256"
	CompressionMethod int    // "compressionMethod": 0 in practice
	Proto             string // "proto": the chosen ALPN protocol (RFC 7301); not opened, TLS 1.3 hides it, then the client's first offer
	Version           string // "version": such as "tls1.3"

	ClientHello Hex // "clientHello": the handshake records as sent (the first, after a HelloRetryRequest), in hex
	ServerHello Hex // "serverHello": the handshake records as sent (the last, after a HelloRetryRequest), in hex; empty when none came

	JA3         string // "ja3": fingerprint of the ClientHello; the key is absent when empty
	JA4         string // "ja4": fingerprint of the ClientHello; the key is absent when empty
	Intercepted bool   // "intercepted": the connection was opened by us; the key is absent when false
	NotOpened   string // "notOpened": why it was not, where connections are opened at all, such as "bypass"; the key is absent when empty
}
