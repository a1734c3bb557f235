from django.db import models


class Document(models.Model):
    title = models.CharField(max_length=200)
    scan = models.FileField(upload_to="scans/")

    def __str__(self):
        return self.title
