package record

import (
	"slices"
	"strconv"
)

// badUTF8 is the anomaly of a record some string of which was not UTF-8.
const badUTF8 = "bad-utf8"

// AppendJSON appends the record as one JSON object, without a line end, and
// returns the extended slice. It allocates nothing when b is large enough (but
// for a header section of more than 32 fields or with a name that is not UTF-8,
// and for Labels, whose keys are sorted).
//
// The result is always valid JSON and has no raw control character in it. A byte
// of a string that is not UTF-8 becomes U+FFFD, and "anomalies" then has
// "bad-utf8"; the record itself is not changed. A nil record is null.
func (r *Record) AppendJSON(b []byte) []byte {
	if r == nil {
		return append(b, "null"...)
	}
	e := encoder{b: append(b, '{')}
	e.str("service", r.Service)
	e.str("network", r.Network)
	e.str("remote", r.Remote)
	e.str("local", r.Local)
	e.str("client", r.Client)
	e.str("src", r.Src)
	e.str("dst", r.Dst)
	e.str("host", r.Host)
	e.strSet("proto", r.Proto)
	e.str("clientIP", r.ClientIP)
	e.strSet("clientID", r.ClientID)
	e.labels(r.Labels)
	e.http(r.HTTP)
	e.websocket(r.WebSocket)
	e.tls(r.TLS)
	e.dns(r.DNS)
	e.strSet("route", r.Route)
	e.int("inputBytes", r.InputBytes)
	e.int("outputBytes", r.OutputBytes)
	e.strSet("err", r.Err)
	e.str("sid", r.SID)
	e.int("duration", int64(r.Duration))
	e.time("time", r.Time)
	e.seq(r.Seq)
	e.timings(r.Timings)
	e.anomalies(r.Anomalies)
	return append(e.b, '}')
}

// MarshalJSON returns the record as AppendJSON writes it. The error is nil.
func (r *Record) MarshalJSON() ([]byte, error) { return r.AppendJSON(nil), nil }

func (e *encoder) http(h *HTTP) {
	if h == nil {
		return
	}
	e.key("http")
	e.b = append(e.b, '{')
	e.str("host", h.Host)
	e.str("method", h.Method)
	e.str("proto", h.Proto)
	e.str("scheme", h.Scheme)
	e.str("uri", h.URI)
	e.bool("cached", h.Cached)
	e.int("statusCode", int64(h.StatusCode))
	e.message("request", h.Request)
	e.message("response", h.Response)
	e.b = append(e.b, '}')
}

func (e *encoder) message(k string, m *Message) {
	if m == nil {
		return
	}
	e.key(k)
	e.b = append(e.b, '{')
	e.int("contentLength", m.ContentLength)
	e.header("header", m.Header)
	e.base64("body", m.Body)
	if len(m.Trailer) > 0 {
		e.header("trailer", m.Trailer)
	}
	e.boolSet("truncated", m.Truncated)
	e.b = append(e.b, '}')
}

func (e *encoder) websocket(w *WebSocket) {
	if w == nil {
		return
	}
	e.key("websocket")
	e.b = append(e.b, '{')
	e.str("from", w.From)
	e.bool("fin", w.Fin)
	e.bool("rsv1", w.Rsv1)
	e.bool("rsv2", w.Rsv2)
	e.bool("rsv3", w.Rsv3)
	e.int("opcode", int64(w.Opcode))
	e.bool("masked", w.Masked)
	e.int("maskKey", int64(w.MaskKey))
	e.int("length", w.Length)
	e.base64("payload", w.Payload)
	e.boolSet("truncated", w.Truncated)
	e.b = append(e.b, '}')
}

func (e *encoder) tls(t *TLS) {
	if t == nil {
		return
	}
	e.key("tls")
	e.b = append(e.b, '{')
	e.str("serverName", t.ServerName)
	e.str("cipherSuite", t.CipherSuite)
	e.int("compressionMethod", int64(t.CompressionMethod))
	e.str("proto", t.Proto)
	e.str("version", t.Version)
	e.hex("clientHello", t.ClientHello)
	e.hex("serverHello", t.ServerHello)
	e.strSet("ja3", t.JA3)
	e.strSet("ja4", t.JA4)
	e.boolSet("intercepted", t.Intercepted)
	e.strSet("notOpened", t.NotOpened)
	e.b = append(e.b, '}')
}

func (e *encoder) dns(d *DNS) {
	if d == nil {
		return
	}
	e.key("dns")
	e.b = append(e.b, '{')
	e.int("id", int64(d.ID))
	e.str("name", d.Name)
	e.str("class", d.Class)
	e.str("type", d.Type)
	e.str("question", d.Question)
	e.str("answer", d.Answer)
	e.bool("cached", d.Cached)
	e.b = append(e.b, '}')
}

func (e *encoder) timings(t *Timings) {
	if t == nil {
		return
	}
	e.key("timings")
	e.b = append(e.b, '{')
	e.intSet("dial", int64(t.Dial))
	e.intSet("serverHandshake", int64(t.ServerHandshake))
	e.intSet("clientHandshake", int64(t.ClientHandshake))
	e.intSet("requestFirstByte", int64(t.RequestFirstByte))
	e.intSet("requestEnd", int64(t.RequestEnd))
	e.intSet("responseFirstByte", int64(t.ResponseFirstByte))
	e.intSet("responseEnd", int64(t.ResponseEnd))
	e.b = append(e.b, '}')
}

func (e *encoder) seq(n uint64) {
	if n != 0 {
		e.key("seq")
		e.b = strconv.AppendUint(e.b, n, 10)
	}
}

// anomalies comes last: by now it is known whether a string was bad.
func (e *encoder) anomalies(as []string) {
	if len(as) == 0 && !e.bad {
		return
	}
	e.key("anomalies")
	e.b = append(e.b, '[')
	for _, a := range as {
		e.element(a)
	}
	if e.bad && !slices.Contains(as, badUTF8) {
		e.element(badUTF8)
	}
	e.b = append(e.b, ']')
}

// labels sorts the keys, so that equal records are equal text.
func (e *encoder) labels(m map[string]string) {
	if len(m) == 0 {
		return
	}
	var room [8]string // spares the usual few labels an allocation
	keys := room[:0]
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	e.key("labels")
	e.b = append(e.b, '{')
	for i, k := range keys {
		if i > 0 {
			e.b = append(e.b, ',')
		}
		e.value(k)
		e.b = append(e.b, ':')
		e.value(m[k])
	}
	e.b = append(e.b, '}')
}
