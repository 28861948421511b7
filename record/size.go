package record

import "unsafe"

// Size returns about how many bytes of memory the record holds, with all that it
// points to. It is what queues bound themselves by: a section that several
// records share counts in each of them. A nil record holds nothing.
func (r *Record) Size() int {
	if r == nil {
		return 0
	}
	n := int(unsafe.Sizeof(*r)) + len(r.Service) + len(r.Network) + len(r.Remote) + len(r.Local) +
		len(r.Client) + len(r.Src) + len(r.Dst) + len(r.Host) + len(r.Proto) + len(r.ClientIP) +
		len(r.ClientID) + len(r.Route) + len(r.Err) + len(r.SID)
	for k, v := range r.Labels {
		n += 48 + len(k) + len(v) // two string heads and the map's own share
	}
	for _, a := range r.Anomalies {
		n += int(unsafe.Sizeof(a)) + len(a)
	}
	if h := r.HTTP; h != nil {
		n += int(unsafe.Sizeof(*h)) + len(h.Host) + len(h.Method) + len(h.Proto) + len(h.Scheme) + len(h.URI)
		n += h.Request.size() + h.Response.size()
	}
	if w := r.WebSocket; w != nil {
		n += int(unsafe.Sizeof(*w)) + len(w.From) + cap(w.Payload)
	}
	if t := r.TLS; t != nil {
		n += int(unsafe.Sizeof(*t)) + len(t.ServerName) + len(t.CipherSuite) + len(t.Proto) + len(t.Version) +
			len(t.ClientHello.digits) + len(t.ServerHello.digits) + len(t.JA3) + len(t.JA4)
	}
	if d := r.DNS; d != nil {
		n += int(unsafe.Sizeof(*d)) + len(d.Name) + len(d.Class) + len(d.Type) + len(d.Question) + len(d.Answer)
	}
	if r.Timings != nil {
		n += int(unsafe.Sizeof(*r.Timings))
	}
	return n
}

func (m *Message) size() int {
	if m == nil {
		return 0
	}
	return int(unsafe.Sizeof(*m)) + m.Header.size() + cap(m.Body) + m.Trailer.size()
}

func (h Header) size() int {
	n := cap(h) * int(unsafe.Sizeof(Field{}))
	for i := range h {
		n += len(h[i].Name) + len(h[i].Value)
	}
	return n
}
