// The viewer (Swagger UI) on the contract of this app.
window.SwaggerUIBundle({
  url: "/api/openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  // It would ask a server on the internet whether the contract is well-formed.
  validatorUrl: null,
});
