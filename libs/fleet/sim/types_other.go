package sim

// The inputs and outputs of SSM and Pricing, with the json names of their APIs.

// Parameter is an SSM parameter.
type Parameter struct {
	Name             string    `json:"Name"`
	Type             string    `json:"Type"`
	Value            string    `json:"Value"`
	Version          int64     `json:"Version"`
	LastModifiedDate Timestamp `json:"LastModifiedDate"`
	ARN              string    `json:"ARN"`
	DataType         string    `json:"DataType"`
}

// GetParameterInput is the request of SSM GetParameter.
type GetParameterInput struct {
	Name string `json:"Name"`
}

// GetParameterOutput is the answer of SSM GetParameter.
type GetParameterOutput struct {
	Parameter Parameter `json:"Parameter"`
}

// GetParametersInput is the request of SSM GetParameters: at most 10.
type GetParametersInput struct {
	Names []string `json:"Names"`
}

// GetParametersOutput is the answer of SSM GetParameters.
type GetParametersOutput struct {
	Parameters        []Parameter `json:"Parameters"`
	InvalidParameters []string    `json:"InvalidParameters"`
}

// ProductFilter is a filter of Pricing GetProducts.
type ProductFilter struct {
	Type  string `json:"Type"`
	Field string `json:"Field"`
	Value string `json:"Value"`
}

// GetProductsInput is the request of Pricing GetProducts: pages of 100.
type GetProductsInput struct {
	ServiceCode   string          `json:"ServiceCode"`
	Filters       []ProductFilter `json:"Filters"`
	FormatVersion string          `json:"FormatVersion"`
	MaxResults    int             `json:"MaxResults"`
	NextToken     string          `json:"NextToken"`
}

// GetProductsOutput is the answer of Pricing GetProducts; the items are JSON texts.
type GetProductsOutput struct {
	FormatVersion string   `json:"FormatVersion"`
	PriceList     []string `json:"PriceList"`
	NextToken     string   `json:"NextToken,omitempty"`
}
