package sniff

import "errors"

// A ClientHello is what a TLS client says first (RFC 8446 section 4.1.2, RFC 5246
// section 7.4.1.2, SSL 3.0 in RFC 6101), as sent: every value in its order, GREASE
// (RFC 8701) included. Its byte slices alias what was given to [ParseClientHello], except after
// a message that was spread over several records.
//
// A hello is not altered by its methods, which may be called concurrently.
type ClientHello struct {
	Raw []byte // the TLS records that carry the message, headers included; the last one whole
	Len int    // len(Raw): how much of the stream the hello takes

	RecordVersion      uint16      // of the first record
	Version            uint16      // legacy_version; MaxVersion tells what is offered
	Random             []byte      // 32 bytes
	SessionID          []byte      // legacy_session_id, up to 255 bytes
	CipherSuites       []uint16    // in the order offered, GREASE included
	CompressionMethods []byte      // legacy_compression_methods
	Extensions         []Extension // in the order sent, GREASE included

	// Of the extensions. A field is empty when its extension is absent or cannot be
	// read; of two extensions of one type the first counts.

	ServerName          string   // server_name's first host_name as sent: with its case, its final dot; "" is none
	ALPN                []string // application_layer_protocol_negotiation
	SupportedVersions   []uint16 // supported_versions
	SupportedGroups     []uint16 // supported_groups, once elliptic_curves
	PointFormats        []byte   // ec_point_formats
	SignatureAlgorithms []uint16 // signature_algorithms
	KeyShares           []uint16 // the groups of key_share

	// Malformed says that the message, though read, breaks a rule: an extension's content
	// does not parse, there are two extensions of one type or more than 256, or bytes follow the last.
	Malformed bool

	// The usual hello fits into these, so that it is one allocation.
	extensions [24]Extension
	numbers    [112]uint16
	protocols  [4]string
	free       int // numbers from here on are unused
}

// An Extension of a ClientHello or ServerHello (RFC 8446 section 4.2).
type Extension struct {
	Type uint16 // of the registry "TLS ExtensionType Values"
	Data []byte // extension_data
}

// Extension types that are read, of the registry "TLS ExtensionType Values".
const (
	extServerName          = 0
	extSupportedGroups     = 10
	extPointFormats        = 11
	extSignatureAlgorithms = 13
	extALPN                = 16
	extSupportedVersions   = 43
	extKeyShare            = 51
	extECH                 = 0xfe0d
)

var errClientHello = errors.New("sniff: ClientHello with a length that does not fit")

// ParseClientHello reads the ClientHello that a client's stream begins with. b holds the
// stream from its first byte on, and may hold more than the hello. The message may be spread over
// any number of records, see [MaxHelloMessage] and [MaxHelloStream].
//
// The error is [ErrIncomplete] when b is the beginning of what may be a ClientHello; any other is
// final: not a TLS record, not a ClientHello, too long, or its lengths contradict each other. What is wrong
// within an extension is no error, see Malformed.
//
// b must not be altered while the hello is in use. At most 2 KiB and 16 times len(b) are allocated.
func ParseClientHello(b []byte) (*ClientHello, error) {
	msg, n, err := readHandshake(b, handshakeClientHello)
	if err != nil {
		return nil, err
	}
	h := &ClientHello{Raw: b[:n:n], Len: n, RecordVersion: uint16(b[1])<<8 | uint16(b[2])}
	if !h.parse(msg) {
		return nil, errClientHello
	}
	return h, nil
}

// parse reads the message without its header.
func (h *ClientHello) parse(msg []byte) bool {
	c := cursor(msg)
	var suites []byte
	var ok bool
	if h.Version, ok = c.uint16(); !ok {
		return false
	}
	if h.Random, ok = c.take(32); !ok {
		return false
	}
	if h.SessionID, ok = c.vector8(); !ok {
		return false
	}
	if suites, ok = c.vector16(); !ok || len(suites)%2 != 0 {
		return false
	}
	if h.CompressionMethods, ok = c.vector8(); !ok {
		return false
	}
	h.CipherSuites = h.uint16s(suites)
	if len(c) == 0 { // a hello without extensions, RFC 5246 section 7.4.1.2
		return true
	}
	h.Extensions, ok = readExtensions(&c, h.extensions[:0])
	if !ok {
		return false
	}
	h.Malformed = len(c) > 0 || repeatsType(h.Extensions)
	for _, e := range h.Extensions {
		if !h.read(e) {
			h.Malformed = true
		}
	}
	return true
}

// read reads an extension into its field, and says whether its content parsed.
func (h *ClientHello) read(e Extension) bool {
	c := cursor(e.Data)
	switch e.Type {
	case extServerName:
		return h.ServerName != "" || h.readServerName(c)
	case extALPN:
		return h.ALPN != nil || h.readALPN(c)
	case extSupportedVersions:
		list, ok := c.vector8()
		return h.readUint16s(&h.SupportedVersions, list, ok, c)
	case extSupportedGroups:
		list, ok := c.vector16()
		return h.readUint16s(&h.SupportedGroups, list, ok, c)
	case extSignatureAlgorithms:
		list, ok := c.vector16()
		return h.readUint16s(&h.SignatureAlgorithms, list, ok, c)
	case extPointFormats:
		list, ok := c.vector8()
		if !ok || len(c) > 0 {
			return false
		}
		if h.PointFormats == nil {
			h.PointFormats = list
		}
	case extKeyShare:
		return h.KeyShares != nil || h.readKeyShares(c)
	}
	return true
}

// readServerName reads RFC 6066 section 3. Names of other types are passed over.
func (h *ClientHello) readServerName(c cursor) bool {
	list, ok := c.vector16()
	if !ok || len(c) > 0 || len(list) == 0 {
		return false
	}
	for c = list; len(c) > 0; {
		nameType, ok := c.take(1)
		if !ok {
			return false
		}
		name, ok := c.vector16()
		if !ok {
			return false
		}
		if nameType[0] == 0 && h.ServerName == "" {
			h.ServerName = string(name)
		}
	}
	return h.ServerName != ""
}

// readALPN reads RFC 7301 section 3.1.
func (h *ClientHello) readALPN(c cursor) bool {
	list, ok := c.vector16()
	if !ok || len(c) > 0 || len(list) == 0 {
		return false
	}
	protocols := h.protocols[:0]
	for c = list; len(c) > 0; {
		name, ok := c.vector8()
		if !ok || len(name) == 0 {
			return false
		}
		if len(protocols) == cap(protocols) { // once, for all that can follow
			protocols = append(make([]string, 0, len(protocols)+1+len(c)/2), protocols...)
		}
		protocols = append(protocols, protocolName(name))
	}
	h.ALPN = protocols
	return true
}

// protocolName is string(name), without an allocation for the usual ones.
func protocolName(name []byte) string {
	switch string(name) {
	case "h2":
		return "h2"
	case "http/1.1":
		return "http/1.1"
	}
	return string(name)
}

// readKeyShares reads RFC 8446 section 4.2.8: the groups, without their keys.
func (h *ClientHello) readKeyShares(c cursor) bool {
	list, ok := c.vector16()
	if !ok || len(c) > 0 {
		return false
	}
	count := 0
	for c = list; len(c) > 0; count++ {
		if !takeKeyShare(&c, nil) {
			return false
		}
	}
	groups := h.alloc(count)
	c = list
	for i := range groups {
		takeKeyShare(&c, &groups[i])
	}
	h.KeyShares = groups
	return true
}

// takeKeyShare takes one KeyShareEntry, and stores its group unless that is nil.
func takeKeyShare(c *cursor, group *uint16) bool {
	g, ok := c.uint16()
	if !ok {
		return false
	}
	if group != nil {
		*group = g
	}
	_, ok = c.vector16()
	return ok
}

// readUint16s reads list into field, unless an earlier extension did. ok and rest are what
// taking the list left.
func (h *ClientHello) readUint16s(field *[]uint16, list []byte, ok bool, rest cursor) bool {
	if !ok || len(rest) > 0 || len(list)%2 != 0 {
		return false
	}
	if *field == nil {
		*field = h.uint16s(list)
	}
	return true
}

// uint16s decodes b, of an even length.
func (h *ClientHello) uint16s(b []byte) []uint16 {
	list := h.alloc(len(b) / 2)
	for i := range list {
		list[i] = uint16(b[2*i])<<8 | uint16(b[2*i+1])
	}
	return list
}

// alloc returns n numbers, of the hello's own while there are some left.
func (h *ClientHello) alloc(n int) []uint16 {
	if n > len(h.numbers)-h.free {
		return make([]uint16, n)
	}
	list := h.numbers[h.free : h.free+n : h.free+n]
	h.free += n
	return list
}

// Extension returns the content of the first extension of a type, and whether there is one.
func (h *ClientHello) Extension(extensionType uint16) (data []byte, ok bool) {
	return findExtension(h.Extensions, extensionType)
}

// MaxVersion returns the highest version offered: of supported_versions where that names one that is known
// (RFC 8446 section 4.2.1), else legacy_version. A draft of TLS 1.3 (0x7fxx) is below TLS 1.3 itself; GREASE
// and private versions are passed over.
func (h *ClientHello) MaxVersion() uint16 {
	highest, rank := h.Version, 0
	for _, v := range h.SupportedVersions {
		if r := versionRank(v); r > rank {
			highest, rank = v, r
		}
	}
	return highest
}

func versionRank(v uint16) int {
	switch v >> 8 {
	case 0x03:
		return int(v) << 8
	case 0x7f:
		return 0x0303<<8 | int(v&0xff)
	}
	return 0
}

// HasECH says whether the hello has an encrypted_client_hello extension (RFC 9849). ServerName is then
// the public name of the client-facing server, not the name asked for, unless the extension is GREASE:
// nobody but that server can tell.
func (h *ClientHello) HasECH() bool {
	_, ok := h.Extension(extECH)
	return ok
}

// isGREASE says whether v is one of the values that RFC 8701 reserves for nothing.
func isGREASE(v uint16) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff }
