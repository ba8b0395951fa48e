// Only reads can be tried: the page cannot sign. No outside service is asked to judge the document.
SwaggerUIBundle({
  url: '/openapi.yaml',
  dom_id: '#docs',
  deepLinking: true,
  validatorUrl: null,
  supportedSubmitMethods: ['get'],
});
