package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// UnmarshalJSON sets the record to what AppendJSON has written. Keys that it does
// not know are skipped and missing ones leave the zero value, so that records of
// GOST can be read too. The names of a header section come back in canonical case
// and in the order of the JSON, the field lines of a name together.
func (r *Record) UnmarshalJSON(b []byte) error {
	if err := r.decode(b); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	return nil
}

func (r *Record) decode(b []byte) error {
	var j recordJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*r = Record{
		Service: j.Service, Network: j.Network,
		Remote: j.Remote, Local: j.Local, Client: j.Client, Src: j.Src, Dst: j.Dst,
		Host: j.Host, Proto: j.Proto, ClientIP: j.ClientIP, ClientID: j.ClientID,
		Labels: j.Labels,
		HTTP:   j.HTTP.section(), WebSocket: (*WebSocket)(j.WebSocket),
		TLS: j.TLS.section(), DNS: (*DNS)(j.DNS),
		Route: j.Route, Err: j.Err,
		InputBytes: j.InputBytes, OutputBytes: j.OutputBytes,
		SID: j.SID, Duration: j.Duration, Time: j.Time,
		Seq: j.Seq, Timings: (*Timings)(j.Timings), Anomalies: j.Anomalies,
	}
	return nil
}

// The types below are the sections with their keys. Where the fields are the same
// a conversion does.
type (
	recordJSON struct {
		Service     string            `json:"service"`
		Network     string            `json:"network"`
		Remote      string            `json:"remote"`
		Local       string            `json:"local"`
		Client      string            `json:"client"`
		Src         string            `json:"src"`
		Dst         string            `json:"dst"`
		Host        string            `json:"host"`
		Proto       string            `json:"proto"`
		ClientIP    string            `json:"clientIP"`
		ClientID    string            `json:"clientID"`
		Labels      map[string]string `json:"labels"`
		HTTP        *httpJSON         `json:"http"`
		WebSocket   *websocketJSON    `json:"websocket"`
		TLS         *tlsJSON          `json:"tls"`
		DNS         *dnsJSON          `json:"dns"`
		Route       string            `json:"route"`
		InputBytes  int64             `json:"inputBytes"`
		OutputBytes int64             `json:"outputBytes"`
		Err         string            `json:"err"`
		SID         string            `json:"sid"`
		Duration    time.Duration     `json:"duration"`
		Time        time.Time         `json:"time"`
		Seq         uint64            `json:"seq"`
		Timings     *timingsJSON      `json:"timings"`
		Anomalies   []string          `json:"anomalies"`
	}

	httpJSON struct {
		Host       string       `json:"host"`
		Method     string       `json:"method"`
		Proto      string       `json:"proto"`
		Scheme     string       `json:"scheme"`
		URI        string       `json:"uri"`
		Cached     bool         `json:"cached"`
		StatusCode int          `json:"statusCode"`
		Request    *messageJSON `json:"request"`
		Response   *messageJSON `json:"response"`
	}

	messageJSON struct {
		ContentLength int64      `json:"contentLength"`
		Header        headerJSON `json:"header"`
		Body          []byte     `json:"body"`
		Trailer       headerJSON `json:"trailer"`
		Truncated     bool       `json:"truncated"`
	}

	websocketJSON struct {
		From      string `json:"from"`
		Fin       bool   `json:"fin"`
		Rsv1      bool   `json:"rsv1"`
		Rsv2      bool   `json:"rsv2"`
		Rsv3      bool   `json:"rsv3"`
		Opcode    int    `json:"opcode"`
		Masked    bool   `json:"masked"`
		MaskKey   uint32 `json:"maskKey"`
		Length    int64  `json:"length"`
		Payload   []byte `json:"payload"`
		Truncated bool   `json:"truncated"`
	}

	tlsJSON struct {
		ServerName        string `json:"serverName"`
		CipherSuite       string `json:"cipherSuite"`
		CompressionMethod int    `json:"compressionMethod"`
		Proto             string `json:"proto"`
		Version           string `json:"version"`
		ClientHello       Hex    `json:"clientHello"`
		ServerHello       Hex    `json:"serverHello"`
		JA3               string `json:"ja3"`
		JA4               string `json:"ja4"`
		Intercepted       bool   `json:"intercepted"`
		NotOpened         string `json:"notOpened"`
	}

	dnsJSON struct {
		ID       int    `json:"id"`
		Name     string `json:"name"`
		Class    string `json:"class"`
		Type     string `json:"type"`
		Question string `json:"question"`
		Answer   string `json:"answer"`
		Cached   bool   `json:"cached"`
	}

	timingsJSON struct {
		Dial              time.Duration `json:"dial"`
		ServerHandshake   time.Duration `json:"serverHandshake"`
		ClientHandshake   time.Duration `json:"clientHandshake"`
		RequestFirstByte  time.Duration `json:"requestFirstByte"`
		RequestEnd        time.Duration `json:"requestEnd"`
		ResponseFirstByte time.Duration `json:"responseFirstByte"`
		ResponseEnd       time.Duration `json:"responseEnd"`
	}
)

func (j *httpJSON) section() *HTTP {
	if j == nil {
		return nil
	}
	return &HTTP{
		Host: j.Host, Method: j.Method, Proto: j.Proto, Scheme: j.Scheme, URI: j.URI,
		Cached: j.Cached, StatusCode: j.StatusCode,
		Request: j.Request.message(), Response: j.Response.message(),
	}
}

func (j *messageJSON) message() *Message {
	if j == nil {
		return nil
	}
	return &Message{
		ContentLength: j.ContentLength,
		Header:        Header(j.Header), Body: j.Body,
		Trailer: Header(j.Trailer), Truncated: j.Truncated,
	}
}

func (j *tlsJSON) section() *TLS {
	if j == nil {
		return nil
	}
	return &TLS{
		ServerName: j.ServerName, CipherSuite: j.CipherSuite,
		CompressionMethod: j.CompressionMethod, Proto: j.Proto, Version: j.Version,
		ClientHello: j.ClientHello, ServerHello: j.ServerHello,
		JA3: j.JA3, JA4: j.JA4, Intercepted: j.Intercepted, NotOpened: j.NotOpened,
	}
}

// headerJSON keeps the order of the object's keys, which a map would lose.
type headerJSON Header

func (h *headerJSON) UnmarshalJSON(b []byte) error {
	*h = nil
	d := json.NewDecoder(bytes.NewReader(b))
	open, err := d.Token()
	if err != nil || open == nil { // null
		return err
	}
	if open != json.Delim('{') {
		return fmt.Errorf("header is %v, not an object", open)
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var values []string
		if err := d.Decode(&values); err != nil {
			return err
		}
		for _, v := range values {
			*h = append(*h, Field{Name: name.(string), Value: v})
		}
	}
	return nil
}
