package awssim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
)

// protocol is how a service reads requests and writes answers and errors.
type protocol interface {
	decode(c *call, into any) *apiError
	// encode writes the body of an answer. It does not keep out.
	encode(c *call, requestID string, out any) ([]byte, error)
	answer(w http.ResponseWriter, requestID string, body []byte)
	refuse(w http.ResponseWriter, requestID string, err *apiError)
}

// awsJSON is awsJson1.0 and awsJson1.1: the operation is in X-Amz-Target, the bodies are
// JSON, the code of an error is in __type.
type awsJSON struct {
	contentType string
	shapes      string // namespace of the error types; empty is none

	// queryCodes are the codes that errors had before the service spoke JSON, by their names,
	// for a service that used to speak query: clients still switch on them. Nil if it never
	// did. names is the way back.
	queryCodes, names map[string]string
}

func (p *awsJSON) decode(c *call, into any) *apiError {
	if err := decodeJSON(c.body, into); err != nil {
		return err
	}
	return checkConstraints(c.service, c.operation, c.body)
}

func (p *awsJSON) encode(_ *call, _ string, out any) ([]byte, error) { return encodeJSON(out) }

// noProtocol answers requests that no service speaks the language of.
type noProtocol struct{ awsJSON }

func (*noProtocol) refuse(w http.ResponseWriter, requestID string, err *apiError) {
	w.Header().Set("X-Amzn-RequestId", requestID)
	w.WriteHeader(err.status)
	_, _ = fmt.Fprintf(w, "<%s/>\n", err.code) // a caller that has gone needs no answer
}

func (p *awsJSON) answer(w http.ResponseWriter, requestID string, body []byte) {
	p.header(w, requestID)
	_, _ = w.Write(body) // a caller that has gone needs no answer
}

func (p *awsJSON) refuse(w http.ResponseWriter, requestID string, err *apiError) {
	p.header(w, requestID)
	name := err.code
	if p.queryCodes != nil {
		if known, ok := p.names[err.code]; ok {
			name = known
		}
		w.Header().Set("X-Amzn-Query-Error", p.queryCode(name, err.status))
	}
	body, _ := json.Marshal(struct {
		Type    string `json:"__type"`
		Message string `json:"message,omitempty"`
	}{p.shapes + name, err.message}) // two strings always have a form
	w.WriteHeader(err.status)
	_, _ = w.Write(body) // a caller that has gone needs no answer
}

// queryCode is the value of X-Amzn-Query-Error: the old code and whose fault it is.
func (p *awsJSON) queryCode(name string, status int) string {
	code, ok := p.queryCodes[name]
	if !ok {
		code = name
	}
	if status >= http.StatusInternalServerError {
		return code + ";Receiver"
	}
	return code + ";Sender"
}

func (p *awsJSON) header(w http.ResponseWriter, requestID string) {
	w.Header().Set("Content-Type", p.contentType)
	w.Header().Set("X-Amzn-RequestId", requestID)
}

// Content types and the versions and namespaces of the query services.
const (
	contentJSON10 = "application/x-amz-json-1.0"
	contentJSON11 = "application/x-amz-json-1.1"
	contentXML    = "text/xml;charset=UTF-8"
	xmlHeader     = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

	ec2Namespace = "http://ec2.amazonaws.com/doc/2016-11-15/"
	ec2Version   = "2016-11-15"
	stsNamespace = "https://sts.amazonaws.com/doc/2011-06-15/"
	stsVersion   = "2011-06-15"
	sqsNamespace = "http://queue.amazonaws.com/doc/2012-11-05/"
	sqsVersion   = "2012-11-05"
)

// ec2Query is the protocol of EC2: a form comes in, XML in the namespace of the API version
// goes out.
type ec2Query struct{}

func (ec2Query) decode(c *call, into any) *apiError {
	if err := checkEC2Parameters(c.operation, c.form); err != nil {
		return err
	}
	return decodeQuery(c.form, into)
}

func (ec2Query) encode(c *call, requestID string, out any) ([]byte, error) {
	b := bytes.NewBufferString(xmlHeader)
	fmt.Fprintf(b, `<%sResponse xmlns="%s"><requestId>%s</requestId>`, c.operation, ec2Namespace, requestID)
	if err := writeXML(b, out); err != nil {
		return nil, err
	}
	fmt.Fprintf(b, "</%sResponse>", c.operation)
	return b.Bytes(), nil
}

func (ec2Query) answer(w http.ResponseWriter, requestID string, body []byte) {
	writeXMLBody(w, requestID, http.StatusOK, body)
}

func (ec2Query) refuse(w http.ResponseWriter, requestID string, err *apiError) {
	writeXMLBody(w, requestID, err.status, fmt.Appendf(nil,
		"%s<Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error></Errors><RequestID>%s</RequestID></Response>",
		xmlHeader, xmlText(err.code), xmlText(err.message), requestID))
}

// awsQuery is the query protocol as all services but EC2 speak it: answers are wrapped once
// more.
type awsQuery struct {
	namespace string
	codes     map[string]string // of errors that have another name in the world; nil is none
}

func (awsQuery) decode(c *call, into any) *apiError { return decodeQuery(c.form, into) }

func (p awsQuery) encode(c *call, requestID string, out any) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<?xml version="1.0"?><%sResponse xmlns="%s"><%sResult>`, c.operation, p.namespace, c.operation)
	if err := writeXML(&b, out); err != nil {
		return nil, err
	}
	fmt.Fprintf(&b, "</%sResult><ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata></%sResponse>",
		c.operation, requestID, c.operation)
	return b.Bytes(), nil
}

func (awsQuery) answer(w http.ResponseWriter, requestID string, body []byte) {
	writeXMLBody(w, requestID, http.StatusOK, body)
}

func (p awsQuery) refuse(w http.ResponseWriter, requestID string, err *apiError) {
	kind, code := "Sender", err.code
	if err.status >= http.StatusInternalServerError {
		kind = "Receiver"
	}
	if known, ok := p.codes[code]; ok {
		code = known
	}
	writeXMLBody(w, requestID, err.status, fmt.Appendf(nil,
		`<?xml version="1.0"?><ErrorResponse xmlns="%s"><Error><Type>%s</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>%s</RequestId></ErrorResponse>`,
		p.namespace, kind, xmlText(code), xmlText(err.message), requestID))
}

func writeXMLBody(w http.ResponseWriter, requestID string, status int, body []byte) {
	w.Header().Set("Content-Type", contentXML)
	w.Header().Set("X-Amzn-RequestId", requestID)
	w.WriteHeader(status)
	_, _ = w.Write(body) // a caller that has gone needs no answer
}
